"""Picture of a training: `write_training_curves`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from helaseg.deep.history import HistoryRow, read_history
from helaseg.errors import DataFormatError
from helaseg.io import atomic_path
from helaseg.report import style

#: The picture beside the trained network.
CURVES = "curves.png"


def plot_history(rows: Sequence[HistoryRow]) -> Figure:
    """Losses, Dice coefficient and learning rate from step to step.

    Parameters
    ----------
    rows : sequence of HistoryRow
        Of `helaseg.deep.train`.

    Returns
    -------
    Figure
        Above the losses, with a mark at the best step; in the middle the Dice coefficient of
        the cells kept for validation; below the learning rate.

    Raises
    ------
    DataFormatError
        If there is no row.
    """
    if not rows:
        msg = "a history without any row cannot be drawn; train first"
        raise DataFormatError(msg)
    steps = np.array([r.step for r in rows])
    judged = np.array([r.validation_loss for r in rows])
    validated = bool(np.isfinite(judged).any())
    figure = style.new_figure(760, 520)
    heights = (3, 2, 1) if validated else (3, 1)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    loss, rate = axes[0], axes[-1]
    marker = "o" if len(rows) <= 30 else None
    train = [r.train_loss for r in rows]
    loss.plot(steps, train, color=style.PLAIN, marker=marker, markersize=3, label="training")
    if validated:
        loss.plot(
            steps, judged, color=style.FLAGGED, marker=marker, markersize=3, label="validation"
        )
        best = int(np.nanargmin(judged))
        loss.scatter(
            steps[best],
            judged[best],
            marker="*",
            s=120,
            color=style.INK,
            zorder=3,
            label=f"best, step {steps[best]}",
        )
        dice = [r.validation_dice for r in rows]
        axes[1].plot(steps, dice, color=style.FLAGGED, marker=marker, markersize=3)
        axes[1].set_ylabel("Dice coefficient")
    loss.set_ylim(bottom=0)
    loss.set_ylabel("loss")
    loss.legend(fontsize=9, frameon=False, loc="upper right")
    rate.plot(steps, [r.learning_rate for r in rows], color=style.INK)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    for ax in axes:
        style.style_axes(ax)
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def write_training_curves(folder: Path) -> Path:
    """Draw ``curves.png`` from the ``history.csv`` beside a trained network.

    Raises
    ------
    DataFormatError
        If there is no history.
    """
    figure = plot_history(read_history(Path(folder) / "history.csv"))
    file = Path(folder) / CURVES
    with atomic_path(file) as part:
        figure.savefig(part, format="png")
    return file
