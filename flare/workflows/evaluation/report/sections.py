"""The content of the report of an evaluation: its data and its sections."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from flare.datasets.audit.report import AuditReport
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.goes import HEADLINE_EVENT
from flare.verification.scorecard import Scorecard
from flare.verification.scores import FLUX, PUBLISHED_EVENT, SCORES, Score, name_of, title_of
from flare.workflows.evaluation.comparison import COMPARED, MEANING, Comparison
from flare.workflows.evaluation.report.render import (
    Block,
    Bullets,
    Paragraph,
    Section,
    Table,
    Value,
)
from flare.workflows.prediction.resolve_model import Resolved

#: The scores on subsets: event and name.
_OF_SUBSET = (
    (HEADLINE_EVENT, "brier_skill_score"),
    (HEADLINE_EVENT, "true_skill_statistic"),
    (HEADLINE_EVENT, "roc_area"),
    ("C1.0", "true_skill_statistic"),
    (FLUX, "log10_flux_mae"),
)


Cells = list[str | Value]


@dataclass(frozen=True)
class Reported:
    """The content of a report; ``label`` is the name of the model in it."""

    model: Resolved
    label: str
    forecast: Forecast
    pack: Pack
    rows: PackedSplit
    comparison: Comparison
    audit: AuditReport
    overlapping: tuple[str, ...]
    base_rates: Mapping[str, float]
    scale: str

    @property
    def forecaster(self) -> Forecaster:
        """The model."""
        return self.model.forecaster


def score_sections(comparison: Comparison) -> list[Section]:
    """Return a table for each event, the headline first, and one for the flux."""
    cards = comparison.scorecards
    events = [HEADLINE_EVENT, *(one for one in _scored(cards) if one != HEADLINE_EVENT)]
    sections = []
    for event in events:
        first = next(iter(cards.values())).get(event, "brier_score")
        caption = f"{first.n_events} events in {first.n} samples."
        fitted = comparison.fitted if event == HEADLINE_EVENT else {}
        blocks: list[Block] = [_table(caption, cards, event, fitted)]
        if event == HEADLINE_EVENT:
            thresholds = ", ".join(
                f"{name} {card.thresholds[event]:.3g}" for name, card in cards.items()
            )
            blocks.append(Paragraph(f"Decision thresholds: {thresholds}."))
        sections.append(Section(_title(event), blocks))
    sections.append(Section("Peak flux", [_table("", cards, FLUX)]))
    return sections


def difference_section(comparison: Comparison) -> Section:
    """Return the differences of the model from each reference, and of each from climatology."""
    header = ["model minus", *(name_of(*one) for one in COMPARED)]
    rows: list[Cells] = [
        [name, *(interval_cell(score, signed=True) for score in scores)]
        for name, scores in comparison.against.items()
    ]
    above: list[Cells] = [
        [name, interval_cell(score, signed=True)]
        for name, score in comparison.above_climatology.items()
    ]
    return Section(
        "Paired differences",
        [
            Table(
                f"{comparison.model} minus each other forecaster, on the same resamples of active "
                "regions; where an interval excludes 0 the two differ. Errors: below 0 is better.",
                header,
                rows,
            ),
            Table(
                f"BSS {HEADLINE_EVENT} above that of climatology.",
                ["forecaster", "BSS gained"],
                above,
            ),
        ],
    )


def noise_free_sections(comparison: Comparison) -> list[Section]:
    """Return a table of the scores against true probabilities for each event, where there are."""
    sections = []
    for event, scores in comparison.noise_free.items():
        first = next(iter(scores.values()))
        rows: list[Cells] = [
            [name, *(interval_cell(score) for score in of)] for name, of in scores.items()
        ]
        caption = (
            f"Against the true probabilities of the generator ({first[0].n_events} events expected "
            f"in {first[0].n} samples), free of chance in the outcomes; the oracle's are highest."
        )
        header = ["forecaster", *(title_of(score.name) for score in first)]
        table = Table(caption, header, rows, highlighted=0)
        sections.append(Section(f"Noise-free scores of {event}", [table]))
    return sections


def subset_section(comparison: Comparison) -> Section:
    """Return the scores on subsets of the samples."""
    names = list(next(iter(comparison.subsets.values())))
    blocks: list[Block] = [Bullets([f"{name}: {text}" for name, text in MEANING.items()])]
    for forecaster in names:
        rows: list[Cells] = []
        for subset, cards in comparison.subsets.items():
            card = cards[forecaster]
            n_events = card.get(HEADLINE_EVENT, "brier_score").n_events
            counts = [str(card.samples()[0]), str(card.n_active_regions), str(n_events)]
            cells = [interval_cell(card.get(event, name)) for event, name in _OF_SUBSET]
            rows.append([subset, *counts, *cells])
        header = ["subset", "samples", "regions", f"{HEADLINE_EVENT} events"]
        blocks.append(Table(forecaster, [*header, *(name_of(*one) for one in _OF_SUBSET)], rows))
    return Section("Subsets of the samples", blocks)


def interval_cell(score: Score, *, signed: bool = False) -> Value:
    """Return a value with its interval; a dash where it is undefined."""
    if math.isnan(score.value):
        return Value("-")
    # Fluxes are some 1e-6 W m^-2; everything else is of the order of 1.
    form = ".2e" if 1e-12 < abs(score.value) < 5e-4 else ".3f" if signed else "z.3f"
    form = f"+{form}" if signed else form
    if math.isnan(score.low):
        return Value(f"{score.value:{form}}")
    return Value(f"{score.value:{form}}", f"[{score.low:{form}}, {score.high:{form}}]")


def _table(
    caption: str,
    cards: Mapping[str, Scorecard],
    event: str,
    fitted: Mapping[str, int] | None = None,
) -> Table:
    known = {score.name for score in next(iter(cards.values())).scores if score.event == event}
    shown = [name for name, info in SCORES.items() if info.in_report and name in known]
    rows: list[Cells] = [
        [forecaster, *(interval_cell(card.get(event, name)) for name in shown)]
        for forecaster, card in cards.items()
    ]
    header = ["forecaster", *map(title_of, shown)]
    if fitted:
        header.append("fitted on (regions)")
        for row, name in zip(rows, cards, strict=True):
            row.append(str(fitted.get(name, "-")))
    return Table(caption, header, rows, highlighted=0)


def _scored(cards: Mapping[str, Scorecard]) -> list[str]:
    """Return the events of a scorecard, the published one last."""
    events = dict.fromkeys(score.event for score in next(iter(cards.values())).scores)
    return [event for event in events if event != FLUX]


def _title(event: str) -> str:
    if event == PUBLISHED_EVENT:
        return "The published event: raw label of at least 1e-5"
    return f"Flares of at least {event}"
