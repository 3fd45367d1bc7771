"""Tables of scorecards, one row a forecaster, for the terminal and as Markdown.

Two tables, so that a value and its interval fit into 100 columns.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flare.errors import VerificationInvalid
from flare.goes import HEADLINE_EVENT
from flare.verification.scorecard import Scorecard
from flare.verification.scores import FLUX


@dataclass(frozen=True)
class Column:
    """One score as shown: divided by ``unit``, with ``digits`` decimals."""

    title: str
    name: str
    of_flux: bool = False
    unit: float = 1.0
    digits: int = 3


#: The columns of each of the tables.
COLUMNS = (
    (
        Column("TSS", "true_skill_statistic"),
        Column("HSS", "heidke_skill_score"),
        Column("BSS", "brier_skill_score"),
        Column("ROC area", "roc_area"),
    ),
    (
        Column("precision", "precision"),
        Column("recall", "recall"),
        Column("log10-flux MAE\n(dex)", "log10_flux_mae", of_flux=True),
        Column("flux MAE\n(1e-6 W m^-2)", "flux_mae", of_flux=True, unit=1e-6, digits=2),
    ),
)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, all columns but the first aligned right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    cells = ([str(one).replace("|", "\\|").replace("\n", " ") for one in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def score_tables(
    scorecards: Mapping[str, Scorecard], *, event: str = HEADLINE_EVENT, synthetic: bool = False
) -> Group:
    """Return the tables for ``rich``: printed, they fit into 100 columns.

    Parameters
    ----------
    scorecards
        From the name of the forecaster to its scores, all on the same samples.
    event
        The event whose scores are shown with those of the flux.
    synthetic
        Whether the samples are synthetic, for the title.

    Raises
    ------
    VerificationInvalid
        There are no scorecards, they are not of the same samples, or not of this event.
    """
    title = Text(_title(scorecards, event, synthetic), style="bold")
    tables = []
    for columns in COLUMNS:
        table = Table(box=SIMPLE_HEAD)
        table.add_column("")
        for column in columns:
            table.add_column(column.title, justify="right")
        for forecaster, card in scorecards.items():
            cells = (_cell(card, event, column) for column in columns)
            table.add_row(forecaster, *(Text.assemble((v, "bold"), "\n", i) for v, i in cells))
        tables.append(table)
    return Group(title, *tables, Text(_note(scorecards, event)))


def score_markdown(
    scorecards: Mapping[str, Scorecard], *, event: str = HEADLINE_EVENT, synthetic: bool = False
) -> str:
    """Return the same tables as Markdown; parameters and errors are those of ``score_tables``."""
    lines = [f"**{_title(scorecards, event, synthetic)}**"]
    for columns in COLUMNS:
        rows = [
            [name, *(" ".join(_cell(card, event, column)).strip() for column in columns)]
            for name, card in scorecards.items()
        ]
        header = ["forecaster", *(column.title for column in columns)]
        lines += ["", markdown_table(header, rows)]
    return "\n".join([*lines, "", _note(scorecards, event), ""])


def _title(scorecards: Mapping[str, Scorecard], event: str, synthetic: bool) -> str:
    """Name the samples; raise VerificationInvalid unless all scorecards are of the same."""
    samples = {
        name: (card.get(event, "brier_score").n_events, *card.samples())
        for name, card in scorecards.items()
    }
    if len(set(samples.values())) != 1:
        raise VerificationInvalid(
            "a table is for one or more scorecards of the same samples; got (events, samples, "
            f"active regions, label scale, level) of {samples}"
        )
    n_events, n, n_regions, *_ = next(iter(samples.values()))
    return (
        f"{'SYNTHETIC DATA: ' if synthetic else ''}flares of at least {event}: "
        f"{n_events} events in {n} samples of {n_regions} active regions"
    )


def _note(scorecards: Mapping[str, Scorecard], event: str) -> str:
    card = next(iter(scorecards.values()))
    thresholds = ", ".join(f"{name} {c.thresholds[event]:.3g}" for name, c in scorecards.items())
    return (
        f"Decision thresholds: {thresholds}. [{100 * card.level:g} % interval from "
        f"{card.n_resamples} resamples of active regions]. Label scale {card.scale}. BSS against "
        "the event rate of these samples. A dash is undefined."
    )


def _cell(card: Scorecard, event: str, column: Column) -> tuple[str, str]:
    """Return a value and its interval as texts."""
    score = card.get(FLUX if column.of_flux else event, column.name)

    def number(value: float) -> str:
        return f"{value / column.unit:z.{column.digits}f}"

    if math.isnan(score.value):
        return "-", ""
    if math.isnan(score.low):
        return number(score.value), "[-]"
    return number(score.value), f"[{number(score.low)}, {number(score.high)}]"
