"""The report of an evaluation as files: JSON, Markdown, HTML, predictions, figures."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from flare.datasets.pack.reader import PackedSplit
from flare.datasets.sdobenchmark.fingerprint import short
from flare.forecast import Forecast
from flare.forecasters.answer import answers
from flare.forecasters.base import Forecaster
from flare.plots.style import save
from flare.verification.scores import json_safe
from flare.workflows.evaluation.report.figures import CAPTIONS, figures_of
from flare.workflows.evaluation.report.render import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Section,
    html_page,
    markdown_page,
)
from flare.workflows.evaluation.report.sections import (
    Reported,
    difference_section,
    noise_free_sections,
    score_sections,
    subset_section,
)
from flare.workflows.fitting.model_card import postprocessing_lines
from flare.workflows.fitting.training_data import mark_if_synthetic
from flare.workflows.prediction.prediction_table import forecast_frame

AUDIT = "audit.md"

#: The folder of the figures, in the report and among the artifacts of its run.
FIGURES = "figures"


def write_report(folder: Path, reported: Reported) -> None:
    """Write everything into a folder; figures as PNG and SVG."""
    text = json.dumps(_as_json(reported), allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    table = predictions(reported.rows, reported.forecaster, reported.forecast)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / AUDIT).write_text(reported.audit.markdown(), encoding="utf-8")
    pictures = []
    for name, figure in figures_of(reported).items():
        path = save(mark_if_synthetic(figure, reported.pack), folder / FIGURES / f"{name}.png")
        save(figure, folder / FIGURES / f"{name}.svg")
        pictures.append(Picture(path, name.replace("_", " "), CAPTIONS[name]))
    title = f"{reported.label} on {reported.pack.name}, {reported.rows.name} split"
    sections = _sections(reported)
    summary = _described(reported)
    text = markdown_page(title, [*sections, Section("Figures", pictures)], summary=summary)
    (folder / "report.md").write_text(text, encoding="utf-8")
    sections.insert(1, Section("Figures", pictures))
    page = html_page(title, sections, summary=summary)
    (folder / "report.html").write_text(page, encoding="utf-8")


def _as_json(reported: Reported) -> dict[str, Any]:
    version, comparison, pack = reported.model.version, reported.comparison, reported.pack
    rows, postprocessing = reported.rows, reported.forecaster.postprocessing
    return {
        "model": reported.label,
        "model_version": version.version if version else None,
        "run_id": version.run_id if version else None,
        "model_digest": reported.model.digest,
        "scale": reported.scale,
        "stated_base_rates": dict(reported.base_rates),
        "calibration": {event: one.method for event, one in postprocessing.calibrations.items()},
        "data": {
            "name": pack.name,
            "fingerprint": pack.fingerprint,
            "synthetic": pack.synthetic,
            "split": rows.name,
            "samples": len(rows),
            "active_regions": int(rows.table["active_region"].nunique()),
        },
        "fitted_on_active_regions": comparison.fitted,
        "trained_on_scored_regions": list(reported.overlapping),
        "audit": reported.audit.as_dict(),
        "brier_skill_above_climatology": {
            name: json_safe(score) for name, score in comparison.above_climatology.items()
        },
        "model_minus": {
            name: [json_safe(score) for score in scores]
            for name, scores in comparison.against.items()
        },
        "noise_free": {
            event: {name: [json_safe(score) for score in scores] for name, scores in of.items()}
            for event, of in comparison.noise_free.items()
        },
        "forecasters": {name: card.as_dict() for name, card in comparison.scorecards.items()},
        "subsets": {
            subset: {name: card.as_dict() for name, card in cards.items()}
            for subset, cards in comparison.subsets.items()
        },
    }


def _sections(reported: Reported) -> list[Section]:
    comparison, audit = reported.comparison, reported.audit
    findings = [
        f"{one.about.title}: {one.count} of {one.total}. {one.about.meaning}"
        for one in (*audit.invalid, *audit.warnings)
    ]
    return [
        Section("Summary", _summary(reported)),
        *score_sections(comparison),
        *noise_free_sections(comparison),
        difference_section(comparison),
        subset_section(comparison),
        Section("Calibration and thresholds", [Bullets(postprocessing_lines(reported.forecaster))]),
        Section(
            "Audit", [Paragraph(f"{audit.line()}; {AUDIT} has every check."), Bullets(findings)]
        ),
    ]


def _summary(reported: Reported) -> list[Block]:
    blocks: list[Block] = []
    if reported.pack.synthetic:
        text = "SYNTHETIC DATA: these scores say nothing about the real Sun."
        blocks.append(Paragraph(text, warning=True))
    if reported.audit.invalid:
        blocks.append(Paragraph(f"No scores of skill. {reported.audit.line()}", warning=True))
    if reported.overlapping:
        text = (
            f"No scores of skill: {', '.join(reported.overlapping)} was trained or validated on "
            "active regions of this split (allow_overlap=true)."
        )
        blocks.append(Paragraph(text, warning=True))
    return [*blocks, Bullets(reported.comparison.lines())]


def _described(reported: Reported) -> str:
    card = reported.comparison.scorecards[reported.label]
    n, n_regions, scale, level = card.samples()
    return (
        f"{n} samples of {n_regions} active regions of {reported.pack.name}, fingerprint "
        f"{short(reported.pack.fingerprint)}; label scale {scale}; [{100 * level:g} % intervals "
        f"from {card.n_resamples} resamples of active regions]."
    )


def predictions(rows: PackedSplit, forecaster: Forecaster, forecast: Forecast) -> pd.DataFrame:
    """Return labels and forecasts of a split as one table, a row a sample."""
    table = rows.table[["id", "active_region", "end", "peak_flux"]].rename(
        columns={"end": "issue_time", "peak_flux": "observed_peak_flux_w_m2"}
    )
    table["images_present"] = rows.present.sum(axis=(1, 2))
    forecasts = forecast_frame([dict(one) for one in answers(forecaster, forecast)])
    return pd.concat([table.reset_index(drop=True), forecasts], axis=1)
