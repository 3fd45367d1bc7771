"""The report of a verification as files: HTML, Markdown, JSON, CSV and figures."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flare.config.verify import VerifyConfig
from flare.plots.style import mark_synthetic, save
from flare.verification.scores import Score
from flare.workflows.evaluation.report.files import FIGURES
from flare.workflows.evaluation.report.render import Picture, Section, html_page, markdown_page
from flare.workflows.verifying.figures import CAPTIONS, figures_of, month_figures
from flare.workflows.verifying.monitoring import Monitoring, monitoring_section
from flare.workflows.verifying.months import MonthScores, month_section
from flare.workflows.verifying.sections import bins_of, sections_of, summary_of
from flare.workflows.verifying.verification import Verification


def write_report(
    folder: Path,
    result: Verification,
    config: VerifyConfig,
    watched: Monitoring,
    months: list[MonthScores],
) -> None:
    """Write everything into a folder; figures as PNG and SVG."""
    content = {**as_json(result, config), "monitoring": _monitoring(watched)}
    text = json.dumps(content, indent=1, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    score_frame(result).to_csv(folder / "scores.csv", index=False)
    pair_frame(result).to_csv(folder / "differences.csv", index=False)
    sample_frame(result).to_csv(folder / "samples.csv", index=False)
    month_frame(months).to_csv(folder / "months.csv", index=False)
    pictures = []
    for name, figure in {**figures_of(result), **month_figures(result, months)}.items():
        if result.samples.synthetic:
            mark_synthetic(figure)
        path = save(figure, folder / FIGURES / f"{name}.png")
        save(figure, folder / FIGURES / f"{name}.svg")
        kind, _, event = name.rpartition("_")
        pictures.append(Picture(path, f"{kind}, {event}", CAPTIONS[kind]))
    title = f"Verification of {', '.join(result.methods[:3])}" + (
        f" and {len(result.methods) - 3} more" if len(result.methods) > 3 else ""
    )
    summary, sections = summary_of(result), sections_of(result)
    alone = len(result.methods) == 1  # then its months come first
    sections.insert(1 if alone else -1, month_section(result, months))
    if watched.notes or watched.lines:
        sections.insert(1, monitoring_section(watched))
    figures = Section("Figures", pictures)
    text = markdown_page(title, [*sections, figures], summary=summary)
    (folder / "report.md").write_text(text, encoding="utf-8")
    sections.insert(2 if watched.lines else 1, figures)
    (folder / "report.html").write_text(
        html_page(title, sections, summary=summary), encoding="utf-8"
    )


def _monitoring(watched: Monitoring) -> dict[str, Any]:
    rows = [
        {k: json_number(v) if isinstance(v, float) else v for k, v in asdict(one).items()}
        for one in watched.drifts
    ]
    return {"notes": list(watched.notes), "lines": list(watched.lines), "drift": rows}


def month_frame(months: list[MonthScores]) -> pd.DataFrame:
    """Return a row for each month, event and method, with the intervals of both scores."""
    rows = []
    for one in months:
        scores = {
            f"{name}{end}": getattr(score, key)
            for name, score in (("brier_score", one.brier), (one.skill.name, one.skill))
            for key, end in (("value", ""), ("low", "_low"), ("high", "_high"))
        }
        counts = {"n": one.brier.n, "n_events": one.brier.n_events}
        mean = {"event_rate": one.rate, "mean_probability": one.probability}
        about = {"month": one.month, "event": one.event, "method": one.method}
        rows.append({**about, **counts, **mean, **scores})
    return pd.DataFrame(rows)


def json_number(value: float) -> float | str | None:
    """Return a number as JSON has it: None for NaN, a text for an infinite one."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _as_json(score: Score) -> dict[str, Any]:
    return {
        "score": score.name,
        "value": json_number(score.value),
        "low": json_number(score.low),
        "high": json_number(score.high),
        "n": score.n,
        "n_events": score.n_events,
    }


def as_json(result: Verification, config: VerifyConfig) -> dict[str, Any]:
    """Return all scores, differences, counts and settings as JSON values."""
    return {
        "settings": {key: str(value) for key, value in config.model_dump().items()},
        "samples": len(result.samples),
        "first": str(result.samples.times[0]),
        "last": str(result.samples.times[-1]),
        "events": {event: int(of.sum()) for event, of in result.samples.outcomes.items()},
        "resampled_groups": result.groups,
        "synthetic": result.samples.synthetic,
        "methods": list(result.methods),
        "references": list(result.references),
        "missing": {event: of.missing for event, of in result.scored.items()},
        "suspect": result.suspect,
        "scores": {
            event: {name: [_as_json(score) for score in scores] for name, scores in of.items()}
            for event, of in result.scores.items()
        },
        "reliability": {event: bins_of(result, event) for event in result.events},
        "differences": {
            event: [
                {"first": one, "second": other, **_as_json(score)}
                for (one, other), scores in of.items()
                for score in scores
            ]
            for event, of in result.pairs.items()
        },
    }


def score_frame(result: Verification) -> pd.DataFrame:
    """Return a row for each score of each method and event."""
    rows = [
        {"event": event, "method": name, **_as_json(score)}
        for event, of in result.scores.items()
        for name, scores in of.items()
        for score in scores
    ]
    return pd.DataFrame(rows)


def pair_frame(result: Verification) -> pd.DataFrame:
    """Return a row for each difference of each pair and event."""
    rows = [
        {"event": event, "first": one, "second": other, **_as_json(score)}
        for event, of in result.pairs.items()
        for (one, other), scores in of.items()
        for score in scores
    ]
    return pd.DataFrame(rows)


def sample_frame(result: Verification) -> pd.DataFrame:
    """Return a row for each sample: window, region, outcomes and all forecasts as scored."""
    samples = result.samples
    columns: dict[str, Any] = {
        "time": _texts(samples.times),
        "valid_from": _texts(samples.starts),
        "valid_to": _texts(samples.starts + samples.window),
    }
    if samples.by_region:
        columns["region"] = samples.regions
    forecasts: Mapping[str, Any] = {
        f"{name} p_{event}": values
        for event, of in result.scored.items()
        for name, values in of.probability.items()
    }
    outcomes = {f"o_{event}": of.astype(int) for event, of in samples.outcomes.items()}
    return pd.DataFrame({**columns, **outcomes, **forecasts})


def _texts(times: Any) -> Any:
    return np.char.add(np.datetime_as_string(times, unit="m"), "Z")
