"""One score of several forecasters beside each other, with intervals."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from flare.plots.style import BLUE, GREY, NORMAL, SMALL, dress, new_figure
from flare.verification.scorecard import FLUX, Scorecard


def skill_comparison(scorecards: Mapping[str, Scorecard], *, event: str, score_name: str) -> Figure:
    """Draw the value and interval of one score, a row for each forecaster.

    Parameters
    ----------
    scorecards
        From the name of the forecaster to its scores, all on the same samples.
    event
        A class, or ``"flux"``.
    score_name
        As in a Scorecard. Where it is undefined the row says so.
    """
    scores = [card.get(event, score_name) for card in scorecards.values()]
    rows = np.arange(len(scores))[::-1]
    figure = new_figure(6.4, 1.4 + 0.42 * len(scores))
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=0.8)
    for row, score in zip(rows, scores, strict=True):
        if np.isnan(score.value):
            axes.text(0, row, " undefined", va="center", fontsize=SMALL, color=GREY)
            continue
        axes.plot([score.low, score.high], [row, row], color=BLUE, linewidth=2, alpha=0.5)
        axes.plot(score.value, row, color=BLUE, marker="o", markersize=6)
        axes.annotate(
            _number(score.value),
            (score.value, row),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
        )
    level = next(iter(scorecards.values())).level if scorecards else 0.95
    counted = "flares" if event == FLUX else "events"
    samples = f"{scores[0].n_events} {counted} in {scores[0].n} samples, " if scores else ""
    dress(
        axes,
        title=score_name.replace("_", " ") + ("" if event == FLUX else f", {event} and above"),
        x=f"{samples}{100 * level:g} % intervals over active regions",
    )
    axes.set_yticks(rows, list(scorecards), fontsize=NORMAL)
    axes.set_ylim(-0.6, len(scores) - 0.3)
    axes.margins(x=0.08)
    axes.grid(visible=False, axis="y")
    return figure


def _number(value: float) -> str:
    # Fluxes are some 1e-6 W m^-2; everything else is of the order of 1.
    return f"{value:.2e}" if 0 < abs(value) < 5e-4 else f"{value:z.3f}"
