"""A float network of the same size in PyTorch: time of an epoch and accuracy, one thread.

Run by ``trisign bench`` in an environment that has torch; it needs nothing of trisign. Reads an
.npz file (x, y, test_x, test_y) and prints JSON.
"""

import argparse
import json
import math
import re
import statistics
import time

import numpy as np
import torch

LEARNING_RATES = {1: 3e-4, 32: 3e-3}


CONVOLUTION = re.compile(r"(\d+)C(\d+)(?:P(\d+))?")


def network(shape: list[int], layers: list[str]) -> torch.nn.Module:
    """``layers`` on an input of ``shape``, channel last: units, or e.g. 64C3P2 for a convolution
    of 64 channels and 3 x 3, then max-pooling 2 x 2. ReLU between the layers."""
    modules: list[torch.nn.Module] = []
    size = math.prod(shape)
    if len(shape) == 3:
        height, width, channels = shape
        modules += [torch.nn.Unflatten(1, (height, width, channels)), ChannelFirst()]
    for layer in layers:
        if (found := CONVOLUTION.fullmatch(layer)) is not None:
            units, kernel, pool = int(found[1]), int(found[2]), int(found[3] or 1)
            modules.append(torch.nn.Conv2d(channels, units, kernel, padding="same"))
            modules += [torch.nn.MaxPool2d(pool)] if pool > 1 else []
            channels, height, width = units, height // pool, width // pool
            size = channels * height * width
        else:
            modules += [torch.nn.Flatten(), torch.nn.Linear(size, int(layer))]
            size = int(layer)
        modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules[:-1])


class ChannelFirst(torch.nn.Module):
    """Images [n, height, width, channels] as PyTorch's convolutions take them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 3, 1, 2)


def train(
    arrays: dict[str, torch.Tensor], shape: list[int], layers: list[str], batch: int, epochs: int
) -> dict:
    """Adam on the cross-entropy."""
    torch.manual_seed(1)
    model = network(shape, layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATES[batch])
    loss_function = torch.nn.CrossEntropyLoss()
    x, y = arrays["x"], arrays["y"]
    seconds = []
    for _ in range(epochs):
        order = torch.randperm(len(x))
        start = time.perf_counter()
        for first in range(0, len(x), batch):
            chosen = order[first : first + batch]
            optimizer.zero_grad()
            loss_function(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    with torch.no_grad():
        hits = model(arrays["test_x"]).argmax(1) == arrays["test_y"]
    return {
        "batch": batch,
        "epochs": epochs,
        "epoch_seconds": statistics.median(seconds),
        "accuracy": hits.double().mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help=".npz file with x, y, test_x, test_y")
    parser.add_argument(
        "--input",
        type=int,
        nargs="+",
        required=True,
        metavar="N",
        help="inputs; or height, width and channels",
    )
    parser.add_argument("--layers", nargs="+", required=True, help="e.g. 64 10; or 32C3 64C3P2 10")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(options.data) as file:
        arrays = {
            name: torch.tensor(file[name], dtype=torch.int64 if "y" in name else torch.float32)
            for name in file.files
        }
    runs = [
        train(arrays, options.input, options.layers, batch, options.epochs)
        for batch in options.batch
    ]
    print(json.dumps({"torch": torch.__version__, "threads": 1, "runs": runs}))


if __name__ == "__main__":
    main()
