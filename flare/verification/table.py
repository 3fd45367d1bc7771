"""Tables of scores: for the terminal and as Markdown, one row a forecaster; and one row a score.

The terminal gets two tables, so that a value and its interval fit into 100 columns.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flare.errors import VerificationInvalid
from flare.goes import HEADLINE_EVENT
from flare.verification.scorecard import Scorecard
from flare.verification.scores import Score, event_of, title_of

#: The scores of each of the tables.
COLUMNS = (
    ("true_skill_statistic", "heidke_skill_score", "brier_skill_score", "roc_area"),
    ("precision", "recall", "log10_flux_mae", "flux_mae"),
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

    ``scorecards`` are by the name of the forecaster; ``event`` is the one whose scores are shown
    with those of the flux. ``synthetic`` samples are named in the title.

    Raises VerificationInvalid: there are no scorecards, they are not of the same samples, or not of
    this event.
    """
    title = Text(_title(scorecards, event, synthetic), style="bold")
    tables = []
    for columns in COLUMNS:
        table = Table(box=SIMPLE_HEAD)
        table.add_column("")
        for name in columns:
            table.add_column(_header(name), justify="right")
        for forecaster, card in scorecards.items():
            cells = (_cell(card, event, name) for name in columns)
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
            [forecaster, *(" ".join(_cell(card, event, name)).strip() for name in columns)]
            for forecaster, card in scorecards.items()
        ]
        header = ["forecaster", *map(_header, columns)]
        lines += ["", markdown_table(header, rows)]
    return "\n".join([*lines, "", _note(scorecards, event), ""])


def score_rows(
    scores: Iterable[Score], *, split: str, forecaster: str, subset: str = "all"
) -> list[dict[str, object]]:
    """Return one row per score: split, event, score, forecaster, subset, value and interval."""
    return [
        {
            "split": split,
            "event": one.event,
            "score": one.name,
            "forecaster": forecaster,
            "subset": subset,
            **{name: getattr(one, name) for name in ("value", "low", "high", "n", "n_events")},
        }
        for one in scores
    ]


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


def _header(name: str) -> str:
    """Return a title with its unit on a second line; fluxes are shown in 1e-6 W m^-2."""
    title = title_of(name).replace(" (", "\n(")
    return title.replace("(W", "(1e-6 W")


def _cell(card: Scorecard, event: str, name: str) -> tuple[str, str]:
    """Return a value and its interval as texts."""
    score = card.get(event_of(event, name), name)
    unit, digits = (1e-6, 2) if name == "flux_mae" else (1.0, 3)

    def number(value: float) -> str:
        return f"{value / unit:z.{digits}f}"

    if math.isnan(score.value):
        return "-", ""
    if math.isnan(score.low):
        return number(score.value), "[-]"
    return number(score.value), f"[{number(score.low)}, {number(score.high)}]"
