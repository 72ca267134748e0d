"""Types and texts that tests of commands share."""

from __future__ import annotations

from collections.abc import Callable

# Runs a command: exit code, standard output, standard error.
Run = Callable[..., tuple[int, str, str]]

# A configuration that learns in seconds; its name in a test's folder is small.toml.
SMALL = """
[design]
board = "icebreaker"
[network]
layers = [192, 8, 10]
rng_group = 16
[hardware]
lanes = 16
store_samples = 40
image = [8, 8]
"""
