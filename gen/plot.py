"""The learning curve of a training run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..golden.output_file import check_writable, written_aside

# What a picture's name may end in, which says its format.
ENDINGS = (".png", ".pdf", ".svg")
SIZE_INCHES = (7.0, 5.5)
DPI = 120


def learning_curve(
    path: str | Path,
    *,
    title: str,
    train_accuracy: Sequence[float],
    test_accuracy: Sequence[float | None],
    active_share: Sequence[float],
    flip_ratio: Sequence[float],
) -> None:
    """Draw accuracy, and below it activity, over epochs; one value an epoch each, 0 … 1.

    The format is that of the name's ending, one of ``ENDINGS``. ``path`` is written completely or
    not at all; raises DataError where it cannot be.
    """
    # Imported here: only this function needs matplotlib. No pyplot, hence no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    upper.set_title(title)
    tested = [(k, value) for k, value in enumerate(test_accuracy, 1) if value is not None]
    curves = (
        (upper, range(1, len(train_accuracy) + 1), train_accuracy, "training, before each update"),
        (upper, [k for k, _ in tested], [value for _, value in tested], "test"),
        (lower, range(1, len(active_share) + 1), active_share, "active samples"),
        (lower, range(1, len(flip_ratio) + 1), flip_ratio, "weights stepped"),
    )
    for axes, epochs, values, label in curves:
        if values:
            axes.plot(epochs, [100 * value for value in values], marker=".", label=label)
    for axes, label in ((upper, "accuracy, %"), (lower, "share, %")):
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
    lower.set_xlabel("epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    check_writable("plot", path, endings=ENDINGS)
    with written_aside(path, "plot") as file:
        figure.savefig(file, format=Path(path).suffix.lower().removeprefix("."))
