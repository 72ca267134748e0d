"""Record what torch.optim makes of the sign optimisers: writes torch_reference.json beside this.

torch is several GB in the registry, so it is no dependency of trisign: this script runs by hand.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 numpy
    /tmp/torch/bin/python tests/vectors/make_reference_vectors.py

torch has no sign optimiser; each case below drives stock optimisers so that they compute one:

- Adam with β1 = β2 = 0 and a vanishing ε is SIGN-SGD, since g / √g² = sign(g); its L2 and AdamW's
  decay are then coupled and decoupled SIGN-SGD.
- SGD's momentum with dampening = momentum is m ← β·m + (1−β)·g once a first step with a zero
  gradient has set its buffer to 0 (otherwise the buffer starts at the first gradient, which is
  exactly what the published signADAM++ does).
- Adam fed sign(g) has v̂ = 1 while no gradient is zero; a learning rate times 1 − β1^t
  cancels its bias correction.
- torch.nn.functional.hardshrink passes |g| > α strictly.
- A fresh SGD's momentum buffer after one step is its gradient with the L2 term added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import hardshrink

SEED = 20190722
SHAPE = (3, 4)
STEPS = 8
LR, BETA, DECAY = 0.0625, 0.9, 0.05
THRESHOLD = 0.4
ADAPTIVE = (0.75, 0.5)
TINY = 1e-300
OUTPUT = Path(__file__).with_name("torch_reference.json")

States = Iterator[tuple[torch.Tensor, torch.Tensor | None]]  # parameter, buffer after each step


class Route:
    """A parameter in torch and the stock optimisers that move it or stand beside it."""

    def __init__(self, param: torch.Tensor) -> None:
        self.param = param.clone().requires_grad_()
        self.average_state = torch.zeros_like(param).requires_grad_()
        self.averager = torch.optim.SGD([self.average_state], lr=0.0, momentum=BETA, dampening=BETA)
        self.age = 0

    def prime(self) -> Route:
        """Let the running average start at zero."""
        self.average(torch.zeros_like(self.param))
        return self

    def average(self, value: torch.Tensor) -> torch.Tensor:
        """SGD's momentum buffer after one more gradient."""
        self.average_state.grad = value.clone()
        self.averager.step()
        return self.buffer()

    def buffer(self) -> torch.Tensor:
        return self.averager.state[self.average_state]["momentum_buffer"].clone()

    def with_l2(self, grad: torch.Tensor, decay: float) -> torch.Tensor:
        """g + λ·θ as SGD forms it."""
        probe = self.param.detach().clone().requires_grad_()
        optimizer = torch.optim.SGD([probe], lr=0.0, momentum=BETA, weight_decay=decay)
        probe.grad = grad.clone()
        optimizer.step()
        return optimizer.state[probe]["momentum_buffer"]

    def move(self, direction: torch.Tensor) -> None:
        """SGD without momentum: θ ← θ − δ·direction."""
        self.param.grad = direction.clone()
        torch.optim.SGD([self.param], lr=LR).step()

    def move_decayed(self, direction: torch.Tensor, decay: float) -> None:
        """AdamW's decay alone (its gradient is zero), then the step."""
        self.param.grad = torch.zeros_like(direction)
        torch.optim.AdamW([self.param], lr=LR, weight_decay=decay).step()
        self.move(direction)


def sign_by_adam(
    params: torch.Tensor, grads: list[torch.Tensor], optimizer: type, decay: float
) -> States:
    """SIGN-SGD as Adam (L2) or AdamW (decoupled) without memory."""
    route = Route(params)
    adam = optimizer([route.param], lr=LR, betas=(0.0, 0.0), eps=TINY, weight_decay=decay)
    for grad in grads:
        route.param.grad = grad.clone()
        adam.step()
        yield route.param, None


def sign_by_sgd(params: torch.Tensor, grads: list[torch.Tensor]) -> States:
    """SIGN-SGD as SGD fed the sign."""
    route = Route(params)
    for grad in grads:
        route.move(torch.sign(grad))
        yield route.param, None


def signum(params: torch.Tensor, grads: list[torch.Tensor], decay: float) -> States:
    """SIGNUM: SGD's buffer, primed with zero, of g + λ·θ; its sign is the step."""
    route = Route(params).prime()
    for grad in grads:
        route.move(torch.sign(route.average(route.with_l2(grad, decay))))
        yield route.param, route.buffer()


def signadam(params: torch.Tensor, grads: list[torch.Tensor], decay: float) -> States:
    """signADAM as AdamW fed the sign, its bias correction cancelled by the learning rate."""
    route = Route(params).prime()
    adam = torch.optim.AdamW([route.param], betas=(BETA, 0.999), eps=0.0)
    for t, grad in enumerate(grads, start=1):
        correction = 1 - BETA**t
        adam.param_groups[0].update(lr=LR * correction, weight_decay=decay / correction)
        route.param.grad = torch.sign(grad)
        adam.step()
        yield route.param, route.average(torch.sign(grad))


def signadam_pp(
    params: torch.Tensor, grads: list[torch.Tensor], l2: float, decoupled: float, adaptive: bool
) -> States:
    """signADAM++: SGD's buffer, primed with zero, of the sign that hardshrink lets through."""
    route = Route(params).prime()
    spread = torch.zeros((), dtype=torch.float64)
    for grad in grads:
        gated = route.with_l2(grad, l2)
        alpha = THRESHOLD
        if adaptive:
            spread = torch.lerp(gated.std(correction=0), spread, ADAPTIVE[0])
            alpha = float(ADAPTIVE[1] * spread)
        direction = route.average(torch.sign(hardshrink(gated, alpha)))
        route.move_decayed(direction, decoupled)
        yield route.param, direction


def signadam_pp_published(params: torch.Tensor, grads: list[torch.Tensor], l2: float) -> States:
    """As published: the buffer starts at the first gated sign and is not read."""
    route = Route(params)
    for grad in grads:
        confident = torch.sign(hardshrink(route.with_l2(grad, l2), THRESHOLD))
        route.average(confident)
        route.move(confident)
        yield route.param, route.buffer()


def record() -> dict[str, Any]:
    """Every case run through torch: inputs, options of the optimiser, parameters and buffers."""
    rng = np.random.default_rng(SEED)
    param = rng.standard_normal(SHAPE)
    gradients = rng.standard_normal((STEPS, *SHAPE))
    p = torch.from_numpy(param)
    g = [torch.from_numpy(gradient) for gradient in gradients]
    adam, adamw = torch.optim.Adam, torch.optim.AdamW
    coupled: dict[str, Any] = {"weight_decay": DECAY}
    decoupled: dict[str, Any] = {"weight_decay": DECAY, "decay": "decoupled"}
    gate: dict[str, Any] = {"threshold": THRESHOLD}
    adaptive: dict[str, Any] = {"adaptive": list(ADAPTIVE)}
    runs: list[tuple[str, dict[str, Any], str, States]] = [
        ("sign_sgd", {}, "SGD fed sign(g)", sign_by_sgd(p, g)),
        ("sign_sgd", coupled, "Adam, betas (0, 0)", sign_by_adam(p, g, adam, DECAY)),
        ("sign_sgd", decoupled, "AdamW, betas (0, 0)", sign_by_adam(p, g, adamw, DECAY)),
        ("signum", {}, "SGD buffer, primed", signum(p, g, 0.0)),
        ("signum", coupled, "SGD buffer of g + L2, primed", signum(p, g, DECAY)),
        ("signadam", {}, "AdamW fed sign(g)", signadam(p, g, 0.0)),
        ("signadam", decoupled, "AdamW fed sign(g)", signadam(p, g, DECAY)),
        ("signadam_pp", gate, "hardshrink, SGD buffer", signadam_pp(p, g, 0.0, 0.0, False)),
        (
            "signadam_pp",
            gate | coupled,
            "hardshrink of g + L2, SGD buffer",
            signadam_pp(p, g, DECAY, 0.0, False),
        ),
        (
            "signadam_pp",
            gate | decoupled,
            "hardshrink, SGD buffer, AdamW decay",
            signadam_pp(p, g, 0.0, DECAY, False),
        ),
        ("signadam_pp", adaptive, "hardshrink at std, lerp", signadam_pp(p, g, 0.0, 0.0, True)),
        (
            "signadam_pp_published",
            gate | coupled,
            "hardshrink of g + L2, SGD, dampened buffer unprimed",
            signadam_pp_published(p, g, DECAY),
        ),
    ]
    cases = []
    for rule, options, made_by, states in runs:
        steps = [
            (theta.detach().tolist(), None if m is None else m.detach().tolist())
            for theta, m in states
        ]
        cases.append(
            {
                "rule": rule,
                "options": {"lr": LR, "momentum": BETA} | options,
                "made_by": made_by,
                "params": [theta for theta, _ in steps],
                "momentum_buffers": [m for _, m in steps],
            }
        )
    return {
        "origin": "torch.optim on random normal gradients, none of them zero; float64",
        "made_by": "tests/vectors/make_reference_vectors.py",
        "torch": torch.__version__,
        "numpy_seed": SEED,
        "param": param.tolist(),
        "gradients": gradients.tolist(),
        "cases": cases,
    }


def main() -> None:
    recording = json.dumps(record())
    OUTPUT.write_text(
        recording.replace('"cases": [', '"cases": [\n').replace("}, {", "},\n{") + "\n"
    )
    print(f"wrote {OUTPUT} ({OUTPUT.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
