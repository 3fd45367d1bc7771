"""What a forest looks at, and how a search went."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flare.plots.style import BLUE, GREY, SMALL, VERMILLION, dress, legend, new_figure


def feature_importance(shares: Mapping[str, float], *, most: int = 20) -> Figure:
    """Draw the features with the largest shares, the largest on top.

    Parameters
    ----------
    shares
        From the name of a feature to its share; all shares together are 1.
    most
        How many to draw.
    """
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


def search_history(trials: Sequence[int], values: Sequence[float], *, objective: str) -> Figure:
    """Draw the value of every finished trial, and the best so far.

    Parameters
    ----------
    trials
        Numbers of the trials, rising.
    values
        Their values; higher is better.
    objective
        What the values are.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    axes.plot(trials, values, "o", color=GREY, markersize=4, label="trial")
    if len(values):
        best = np.maximum.accumulate(values)
        axes.step(trials, best, where="post", color=VERMILLION, linewidth=1.5, label="best so far")
        legend(axes, "lower right")
    dress(axes, title="Search", x="trial", y=objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
