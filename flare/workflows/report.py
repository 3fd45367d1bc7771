"""The report of an evaluation as files: JSON, Markdown, predictions, figures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flare.datasets.packed import Pack, PackedSplit
from flare.forecasters.answer import answers
from flare.forecasters.base import Forecast, Forecaster
from flare.goes import HEADLINE_EVENT, event_outcomes
from flare.plots.comparison import skill_comparison
from flare.plots.flux import confusion_matrix, predicted_against_true
from flare.plots.probability import reliability_diagram, roc_curve, skill_against_threshold
from flare.plots.style import save
from flare.verification.scorecard import Scorecard, json_safe
from flare.verification.table import score_markdown
from flare.workflows.data import marked
from flare.workflows.models import Resolved
from flare.workflows.scoring import Comparison


def write_report(
    folder: Path,
    model: Resolved,
    pack: Pack,
    rows: PackedSplit,
    forecasts: Mapping[str, Forecast],
    comparison: Comparison,
    *,
    overlapping: tuple[str, ...],
) -> None:
    """Write ``report.json``, ``report.md``, ``predictions.csv`` and the figures into a folder."""
    version, scorecards = model.version, comparison.scorecards
    report: dict[str, Any] = {
        "model": model.label,
        "model_version": version.version if version else None,
        "run_id": version.run_id if version else None,
        "data": {
            "name": pack.name,
            "fingerprint": pack.fingerprint,
            "synthetic": pack.synthetic,
            "split": rows.name,
            "samples": len(rows),
            "active_regions": int(rows.table["active_region"].nunique()),
        },
        "trained_on_scored_regions": list(overlapping),
        "brier_skill_above_climatology": {
            name: json_safe(score) for name, score in comparison.above_climatology.items()
        },
        "forecasters": {name: card.as_dict() for name, card in scorecards.items()},
    }
    text = json.dumps(report, indent=2, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    title = f"# {model.label} on {pack.name}, {rows.name} split\n\n{_warning(overlapping)}"
    table = score_markdown(scorecards, synthetic=pack.synthetic)
    said = "".join(f"- {line}\n" for line in comparison.lines())
    (folder / "report.md").write_text(f"{title}{table}\n{said}", encoding="utf-8")
    own = forecasts[model.label]
    predictions(rows, model.forecaster, own).to_csv(folder / "predictions.csv", index=False)
    for name, figure in _figures(rows, own, scorecards, model).items():
        save(marked(figure, pack), folder / f"{name}.png")


def _warning(overlapping: tuple[str, ...]) -> str:
    if not overlapping:
        return ""
    return (
        f"**No scores of skill: {', '.join(overlapping)} saw active regions of this split in "
        "training or validation (allow_overlap=true).**\n\n"
    )


def predictions(rows: PackedSplit, forecaster: Forecaster, forecast: Forecast) -> pd.DataFrame:
    """Put labels and forecasts of a split into one table, a row a sample."""
    table = rows.table[["id", "active_region", "end", "peak_flux"]].rename(
        columns={"end": "issue_time", "peak_flux": "observed_peak_flux_w_m2"}
    )
    table["images_present"] = rows.present.sum(axis=(1, 2))
    told = pd.DataFrame(answers(forecaster, forecast))
    chances = pd.DataFrame(told.pop("probabilities").tolist()).add_prefix("probability_")
    return pd.concat([table.reset_index(drop=True), told, chances], axis=1)


def _figures(
    rows: PackedSplit, own: Forecast, scorecards: Mapping[str, Scorecard], model: Resolved
) -> dict[str, Figure]:
    flux = rows.table["peak_flux"].to_numpy(dtype=np.float64)
    happened = event_outcomes(flux, (HEADLINE_EVENT,))[:, 0]
    chance = own.probability_of(HEADLINE_EVENT)
    threshold = model.forecaster.tuning.thresholds[HEADLINE_EVENT]
    return {
        "predicted_against_true": predicted_against_true(
            own.log10_flux, own.lower, own.upper, flux
        ),
        "confusion_matrix": confusion_matrix(scorecards[model.label].confusion),
        "brier_skill_comparison": skill_comparison(
            scorecards, event=HEADLINE_EVENT, score_name="brier_skill_score"
        ),
        "true_skill_comparison": skill_comparison(
            scorecards, event=HEADLINE_EVENT, score_name="true_skill_statistic"
        ),
        "reliability": reliability_diagram(happened, chance, event=HEADLINE_EVENT),
        "roc": roc_curve(happened, chance, event=HEADLINE_EVENT, threshold=threshold),
        "skill_against_threshold": skill_against_threshold(
            happened, chance, event=HEADLINE_EVENT, threshold=threshold
        ),
    }
