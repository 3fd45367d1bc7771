"""The report of an evaluation: its sections, its JSON and its table of predictions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flare.datasets.audit.report import AuditReport
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.sdobenchmark.fingerprint import short
from flare.forecast import Forecast
from flare.forecasters.answer import answers
from flare.forecasters.base import Forecaster
from flare.goes import HEADLINE_EVENT
from flare.verification.scores import (
    FLUX,
    PUBLISHED_EVENT,
    SCORES,
    Score,
    json_safe,
    name_of,
    title_of,
)
from flare.workflows.evaluation.comparison import COMPARED, MEANING, Comparison
from flare.workflows.evaluation.report_page import (
    SYNTHETIC_WARNING,
    Block,
    Bullets,
    Cells,
    Paragraph,
    Section,
    Table,
    score_cell,
    score_table,
)
from flare.workflows.fitting.model_card import postprocessing_lines
from flare.workflows.prediction.prediction_table import forecast_frame
from flare.workflows.prediction.resolve_model import Resolved

#: The scores on subsets: event and name.
_OF_SUBSET = (
    (HEADLINE_EVENT, "brier_skill_score"),
    (HEADLINE_EVENT, "true_skill_statistic"),
    (HEADLINE_EVENT, "roc_area"),
    ("C1.0", "true_skill_statistic"),
    (FLUX, "log10_flux_mae"),
)


@dataclass(frozen=True)
class Evaluation:
    """What was evaluated and what came out; the model is called ``comparison.model``.

    ``report`` is the folder of the report, ``run_id`` the run of the evaluation.
    """

    model: Resolved
    pack: Pack
    rows: PackedSplit
    comparison: Comparison
    audit: AuditReport
    overlapping: tuple[str, ...]
    base_rates: Mapping[str, float]
    scale: str
    report: Path
    run_id: str

    @property
    def forecaster(self) -> Forecaster:
        """The model."""
        return self.model.forecaster

    @property
    def forecast(self) -> Forecast:
        """The forecast of the model."""
        return self.comparison.forecasts[self.comparison.model]

    @property
    def synthetic(self) -> bool:
        """Whether the samples are synthetic."""
        return self.pack.synthetic

    @property
    def split(self) -> str:
        """The name of the split."""
        return self.rows.name

    @property
    def data(self) -> dict[str, object]:
        """Name, fingerprint, origin and split of the data, as JSON values."""
        return {
            "name": self.pack.name,
            "fingerprint": self.pack.fingerprint,
            "synthetic": self.synthetic,
            "split": self.split,
        }


def files_of(evaluation: Evaluation) -> dict[str, str]:
    """Return the texts of ``report.json``, ``predictions.csv`` and ``audit.md``."""
    return {
        "report.json": json.dumps(_as_json(evaluation), allow_nan=False),
        "predictions.csv": _predictions(evaluation).to_csv(index=False),
        "audit.md": evaluation.audit.markdown(),
    }


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    version, comparison, rows = evaluation.model.version, evaluation.comparison, evaluation.rows
    calibrations = evaluation.forecaster.postprocessing.calibrations
    return {
        "model": comparison.model,
        "model_version": version.version if version else None,
        "run_id": version.run_id if version else None,
        "model_digest": evaluation.model.digest,
        "scale": evaluation.scale,
        "stated_base_rates": dict(evaluation.base_rates),
        "calibration": {event: one.method for event, one in calibrations.items()},
        "data": {
            **evaluation.data,
            "samples": len(rows),
            "active_regions": int(rows.table["active_region"].nunique()),
        },
        "fitted_on_active_regions": comparison.fitted,
        "trained_on_scored_regions": list(evaluation.overlapping),
        "audit": evaluation.audit.as_dict(),
        "brier_skill_above_climatology": {
            name: json_safe(score) for name, score in comparison.above_climatology.items()
        },
        "model_minus": _scores_as_json(comparison.against),
        "noise_free": {event: _scores_as_json(of) for event, of in comparison.noise_free.items()},
        "forecasters": {name: card.as_dict() for name, card in comparison.scorecards.items()},
        "subsets": {
            subset: {name: card.as_dict() for name, card in cards.items()}
            for subset, cards in comparison.subsets.items()
        },
    }


def _scores_as_json(scores: Mapping[str, tuple[Score, ...]]) -> dict[str, Any]:
    return {name: [json_safe(score) for score in of] for name, of in scores.items()}


def _predictions(evaluation: Evaluation) -> pd.DataFrame:
    """Return labels and forecasts of the split, a row a sample."""
    rows = evaluation.rows
    table = rows.table[["id", "active_region", "end", "peak_flux"]].rename(
        columns={"end": "issue_time", "peak_flux": "observed_peak_flux_w_m2"}
    )
    table["images_present"] = rows.present.sum(axis=(1, 2))
    forecasts = [dict(one) for one in answers(evaluation.forecaster, evaluation.forecast)]
    return pd.concat([table.reset_index(drop=True), forecast_frame(forecasts)], axis=1)


def summary_of(evaluation: Evaluation) -> str:
    """Describe the samples and the intervals in one sentence."""
    card = evaluation.comparison.scorecards[evaluation.comparison.model]
    n, n_regions, scale, level = card.samples()
    return (
        f"{n} samples of {n_regions} active regions of {evaluation.pack.name}, fingerprint "
        f"{short(evaluation.pack.fingerprint)}; label scale {scale}; [{100 * level:g} % intervals "
        f"from {card.n_resamples} resamples of active regions]."
    )


def sections_of(evaluation: Evaluation) -> list[Section]:
    """Return all sections, the summary first."""
    comparison, audit = evaluation.comparison, evaluation.audit
    findings = [
        f"{one.about.title}: {one.count} of {one.total}. {one.about.meaning}"
        for one in (*audit.invalid, *audit.warnings)
    ]
    return [
        Section("Summary", _summary(evaluation)),
        *_score_sections(comparison),
        *_noise_free_sections(comparison),
        _difference_section(comparison),
        _subset_section(comparison),
        Section(
            "Calibration and thresholds", [Bullets(postprocessing_lines(evaluation.forecaster))]
        ),
        Section(
            "Audit", [Paragraph(f"{audit.line()}; audit.md has every check."), Bullets(findings)]
        ),
    ]


def _summary(evaluation: Evaluation) -> list[Block]:
    blocks: list[Block] = [SYNTHETIC_WARNING] if evaluation.synthetic else []
    if evaluation.audit.invalid:
        blocks.append(Paragraph(f"No scores of skill. {evaluation.audit.line()}", warning=True))
    if evaluation.overlapping:
        text = (
            f"No scores of skill: {', '.join(evaluation.overlapping)} was trained or validated on "
            "active regions of this split (allow_overlap=true)."
        )
        blocks.append(Paragraph(text, warning=True))
    return [*blocks, Bullets(evaluation.comparison.lines())]


def _score_sections(comparison: Comparison) -> list[Section]:
    """Return a table for each event, the headline first, and one for the flux."""
    cards = comparison.scorecards
    own = cards[comparison.model]
    others = (score.event for score in own.scores if score.event != FLUX)
    events = dict.fromkeys([HEADLINE_EVENT, *others])
    sections = []
    for event in events:
        first = own.get(event, "brier_score")
        table = _event_table(f"{first.n_events} events in {first.n} samples.", comparison, event)
        title = f"Flares of at least {event}"
        if event == PUBLISHED_EVENT:
            title = "The published event: raw label of at least 1e-5"
        blocks: list[Block] = [table]
        if event == HEADLINE_EVENT:
            thresholds = ", ".join(
                f"{name} {card.thresholds[event]:.3g}" for name, card in cards.items()
            )
            blocks = [
                _with_regions(table, comparison),
                Paragraph(f"Decision thresholds: {thresholds}."),
            ]
        sections.append(Section(title, blocks))
    return [*sections, Section("Peak flux", [_event_table("", comparison, FLUX)])]


def _event_table(caption: str, comparison: Comparison, event: str) -> Table:
    scores = {
        name: [score for score in card.scores if score.event == event]
        for name, card in comparison.scorecards.items()
    }
    known = {score.name for score in scores[comparison.model]}
    columns = {
        info.title: name for name, info in SCORES.items() if info.in_report and name in known
    }
    return score_table(caption, scores, columns, who="forecaster", highlighted=0)


def _with_regions(table: Table, comparison: Comparison) -> Table:
    """Add the number of active regions that each forecaster was fitted on, if any was."""
    if not comparison.fitted:
        return table
    header = [*table.header, "fitted on (regions)"]
    rows = [[*row, str(comparison.fitted.get(str(row[0]), "-"))] for row in table.rows]
    return Table(table.caption, header, rows, table.highlighted)


def _difference_section(comparison: Comparison) -> Section:
    """Return the differences of the model from each reference, and of each from climatology."""
    rows: list[Cells] = [
        [name, *(score_cell(score, signed=True) for score in scores)]
        for name, scores in comparison.against.items()
    ]
    above: list[Cells] = [
        [name, score_cell(score, signed=True)]
        for name, score in comparison.above_climatology.items()
    ]
    return Section(
        "Paired differences",
        [
            Table(
                f"{comparison.model} minus each other forecaster, on the same resamples of active "
                "regions; where an interval excludes 0 the two differ. Errors: below 0 is better.",
                ["model minus", *(name_of(*one) for one in COMPARED)],
                rows,
            ),
            Table(
                f"BSS {HEADLINE_EVENT} above that of climatology.",
                ["forecaster", "BSS gained"],
                above,
            ),
        ],
    )


def _noise_free_sections(comparison: Comparison) -> list[Section]:
    """Return a table of the scores against true probabilities for each event, where there are."""
    sections = []
    for event, scores in comparison.noise_free.items():
        first = next(iter(scores.values()))
        caption = (
            f"Against the true probabilities of the generator ({first[0].n_events} events expected "
            f"in {first[0].n} samples), free of chance in the outcomes; the oracle's are highest."
        )
        columns = {title_of(score.name): score.name for score in first}
        table = score_table(caption, scores, columns, who="forecaster", highlighted=0)
        sections.append(Section(f"Noise-free scores of {event}", [table]))
    return sections


def _subset_section(comparison: Comparison) -> Section:
    """Return the scores on subsets of the samples, a table for each forecaster."""
    blocks: list[Block] = [Bullets([f"{name}: {text}" for name, text in MEANING.items()])]
    header = ["subset", "samples", "regions", f"{HEADLINE_EVENT} events"]
    header += [name_of(*one) for one in _OF_SUBSET]
    for forecaster in next(iter(comparison.subsets.values())):
        rows: list[Cells] = []
        for subset, cards in comparison.subsets.items():
            card = cards[forecaster]
            n_events = card.get(HEADLINE_EVENT, "brier_score").n_events
            counts = [str(card.samples()[0]), str(card.n_active_regions), str(n_events)]
            cells = [score_cell(card.get(event, name)) for event, name in _OF_SUBSET]
            rows.append([subset, *counts, *cells])
        blocks.append(Table(forecaster, header, rows))
    return Section("Subsets of the samples", blocks)
