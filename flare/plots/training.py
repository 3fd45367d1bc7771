"""Figures of a fit: losses and validation scores by epoch, and feature importances."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flare.plots.style import BLUE, CYCLE, GREY, SMALL, VERMILLION, dress, legend, new_figure
from flare.verification.scores import title_of


def training_curve(
    epochs: Sequence[Mapping[str, float]], *, scores: Sequence[str], best_epoch: float
) -> Figure:
    """Draw the losses of each epoch, and some validation scores.

    Each of the ``epochs`` has ``epoch``, ``train_loss``, ``validation_loss`` and the ``scores``;
    one without one of them leaves a gap.
    """
    figure = new_figure(9.2, 3.6)
    number = [record["epoch"] for record in epochs]
    for axes, title, y, names, colours in zip(
        figure.subplots(1, 2),
        ("Loss", "Validation scores"),
        ("loss", "score"),
        (("train_loss", "validation_loss"), scores),
        ((BLUE, VERMILLION), CYCLE * len(scores)),
        strict=True,
    ):
        for name, colour in zip(names, colours, strict=False):
            values = [record.get(name, float("nan")) for record in epochs]
            axes.plot(number, values, color=colour, marker=".", linewidth=1.5, label=title_of(name))
        dress(axes, title=title, x="epoch", y=y)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        label = f"best: epoch {best_epoch:g}"
        axes.axvline(best_epoch, color=GREY, linewidth=0.9, linestyle="--", label=label)
        legend(axes)
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
