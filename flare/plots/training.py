"""Figures of a fit: losses and validation scores by epoch, and feature importances."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flare.plots.style import BLUE, CYCLE, GREY, SMALL, VERMILLION, dress, legend, new_figure
from flare.verification.scores import title_of


def training_curve(
    epochs: Sequence[Mapping[str, float]],
    *,
    scores: Sequence[str] = (),
    best_epoch: float | None = None,
) -> Figure:
    """Draw the losses of each epoch, and validation scores where some are named.

    Each of the ``epochs`` has ``epoch``, ``train_loss``, ``validation_loss`` and the ``scores``;
    one without one of them leaves a gap.
    """
    panels = 2 if scores else 1
    figure = new_figure(4.6 * panels, 3.6)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    number = [record["epoch"] for record in epochs]

    def line(panel: int, key: str, colour: str) -> None:
        values = [record.get(key, float("nan")) for record in epochs]
        axes[panel].plot(
            number, values, color=colour, marker=".", linewidth=1.5, label=title_of(key)
        )

    line(0, "train_loss", BLUE)
    line(0, "validation_loss", VERMILLION)
    for score, colour in zip(scores, CYCLE * len(scores), strict=False):
        line(1, score, colour)
    for panel, (title, y) in zip(
        axes, (("Loss", "loss"), ("Validation scores", "score")), strict=False
    ):
        dress(panel, title=title, x="epoch", y=y)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if best_epoch is not None:
            label = f"best: epoch {best_epoch:g}"
            panel.axvline(best_epoch, color=GREY, linewidth=0.9, linestyle="--", label=label)
        legend(panel)
    return figure


def feature_importance(shares: Mapping[str, float], *, most: int = 20) -> Figure:
    """Draw the features with the largest shares, the largest on top."""
    top = sorted(shares.items(), key=lambda item: item[1], reverse=True)[:most]
    figure = new_figure(6.4, 1.0 + 0.22 * len(top))
    axes = figure.subplots()
    rows = np.arange(len(top))[::-1]
    axes.barh(rows, [share for _, share in top], color=BLUE, height=0.7)
    dress(
        axes,
        title=f"The {len(top)} largest of {len(shares)} importances",
        x="share of the variance reduction",
    )
    axes.set_yticks(rows, [name for name, _ in top], fontsize=SMALL)
    axes.grid(visible=False, axis="y")
    return figure
