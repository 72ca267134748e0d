"""A float network of the same size in PyTorch: time of an epoch and accuracy, one thread.

Run by ``trisign bench`` in an environment that has torch; it needs nothing of trisign. Reads an
.npz file (x, y, test_x, test_y) and prints JSON.
"""

import argparse
import itertools
import json
import statistics
import time

import numpy as np
import torch

LEARNING_RATES = {1: 3e-4, 32: 3e-3}


def train(arrays: dict[str, torch.Tensor], layers: list[int], batch: int, epochs: int) -> dict:
    """Adam on the cross-entropy, ReLU between the layers."""
    torch.manual_seed(1)
    modules: list[torch.nn.Module] = []
    for inputs, units in itertools.pairwise(layers):
        modules += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
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
    parser.add_argument("--layers", type=int, nargs="+", required=True)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(options.data) as file:
        arrays = {
            name: torch.tensor(file[name], dtype=torch.int64 if "y" in name else torch.float32)
            for name in file.files
        }
    runs = [train(arrays, options.layers, batch, options.epochs) for batch in options.batch]
    print(json.dumps({"torch": torch.__version__, "threads": 1, "runs": runs}))


if __name__ == "__main__":
    main()
