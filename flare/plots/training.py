"""How a training went: losses and validation scores by epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flare.plots.rows import TITLES
from flare.plots.style import BLUE, CYCLE, GREY, VERMILLION, dress, legend, new_figure


def training_curve(
    epochs: Sequence[Mapping[str, float]],
    *,
    scores: Sequence[str] = (),
    kept_epoch: float | None = None,
) -> Figure:
    """Draw the losses of each epoch, and beside them validation scores where some are named.

    Parameters
    ----------
    epochs
        One record each, with ``epoch``, ``train_loss``, ``validation_loss`` and the ``scores``. An
        epoch without one of them leaves a gap.
    scores
        Which other keys to draw.
    kept_epoch
        The epoch whose weights were kept.
    """
    panels = 2 if scores else 1
    figure = new_figure(4.6 * panels, 3.6)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    number = [record["epoch"] for record in epochs]

    def line(panel: int, key: str, colour: str) -> None:
        values = [record.get(key, float("nan")) for record in epochs]
        label = TITLES.get(key, key.replace("_", " "))
        axes[panel].plot(number, values, color=colour, marker=".", linewidth=1.5, label=label)

    line(0, "train_loss", BLUE)
    line(0, "validation_loss", VERMILLION)
    for score, colour in zip(scores, CYCLE * len(scores), strict=False):
        line(1, score, colour)
    for panel, (title, y) in zip(
        axes, (("Loss", "loss"), ("Validation scores", "score")), strict=False
    ):
        dress(panel, title=title, x="epoch", y=y)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if kept_epoch is not None:
            label = f"kept: epoch {kept_epoch:g}"
            panel.axvline(kept_epoch, color=GREY, linewidth=0.9, linestyle="--", label=label)
        legend(panel)
    return figure
