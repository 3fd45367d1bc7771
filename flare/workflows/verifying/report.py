"""The report of a verification: figures, JSON and tables; and its scores as metrics."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from flare.plots.comparison import method_scores, monthly_scores
from flare.plots.reliability import corp_diagrams, murphy_diagram
from flare.plots.roc import roc_curve
from flare.verification.scores import Score
from flare.verification.table import score_rows
from flare.workflows.evaluation.report_page import Report, ReportFigure
from flare.workflows.verifying.monitoring import Monitoring
from flare.workflows.verifying.sections import (
    best_method,
    bins_of,
    resampled_text,
    sections_of,
    summary_of,
)
from flare.workflows.verifying.verification import Verification

#: In the place of the split in the names of metrics.
SPLIT = "verify"

#: The scores that are metrics; the score table has all.
HEADLINE = (
    "brier_skill_score",
    "brier_skill_score_vs_climatology",
    "true_skill_statistic",
    "heidke_skill_score",
    "gilbert_skill_score",
    "roc_area",
)


#: Captions by kind.
_CAPTIONS = {
    "skill": "Scores of all methods and references, with their gain in Brier skill over "
    "climatology on common samples.",
    "reliability": "Reliability by isotonic regression: no bins. MCB is miscalibration, DSC "
    "discrimination of the Brier score.",
    "murphy": "Mean loss of a user by the cost of a false alarm; the lower the better.",
    "months": "Brier skill over climatology of the windows of each month, with intervals over its "
    "days; and the mean probability with the share of windows with an event.",
    "roc": "Events and non-events that are alarms at every threshold, of the method with the "
    "highest Brier skill score.",
}

_DRAWN = ("brier_skill_score", "true_skill_statistic", "roc_area")


def report_of(result: Verification, watched: Monitoring) -> Report:
    """Return the report: pages, figures, JSON and tables."""
    methods = result.methods
    more = f" and {len(methods) - 3} more" if len(methods) > 3 else ""
    content = {**_as_json(result), "monitoring": _monitoring_as_json(watched)}
    return Report(
        title=f"Verification of {', '.join(methods[:3])}{more}",
        summary=summary_of(result),
        sections=sections_of(result, watched),
        figures=_figures_of(result),
        files={
            "report.json": json.dumps(content, indent=1, allow_nan=False),
            "scores.csv": _csv(_score_rows(result)),
            "differences.csv": _csv(_pair_rows(result)),
            "samples.csv": _sample_frame(result).to_csv(index=False),
            "months.csv": _csv(_month_rows(result)),
        },
        synthetic=result.samples.synthetic,
        figures_at=2 if watched.lines else 1,
    )


def _figures_of(result: Verification) -> dict[str, ReportFigure]:
    """Draw all figures, named KIND_EVENT: those of each event, then the months."""
    drawn: dict[tuple[str, str], Figure] = {}
    for event in result.events:
        drawn |= {(kind, event): figure for kind, figure in _of_event(result, event).items()}
    for event in result.events:
        months = [
            one for one in result.months if (one.event, one.method) == (event, result.methods[0])
        ]
        if months:
            drawn["months", event] = monthly_scores(
                [one.month for one in months],
                [one.skill for one in months],
                [one.probability for one in months],
                [one.rate for one in months],
                title=f"{result.methods[0]}, {event} and above",
                reference=result.climatology,
            )
    return {
        f"{kind}_{event}": ReportFigure(figure, f"{kind}, {event}", _CAPTIONS[kind])
        for (kind, event), figure in drawn.items()
    }


def _of_event(result: Verification, event: str) -> dict[str, Figure]:
    filled, observed = result.scored[event], result.samples.outcomes[event]
    scored = {
        name: (observed[rows], filled.probability[name][rows]) for name, rows in filled.rows.items()
    }
    gains = {name: of[0] for name, of in result.against(event, result.climatology).items()}
    best = best_method(result, event)
    rows = filled.rows[best]
    return {
        "skill": method_scores(
            {name: [result.get(event, name, one) for one in _DRAWN] for name in scored},
            gains,
            event=event,
            reference=result.climatology,
            resampled=resampled_text(result),
        ),
        "reliability": corp_diagrams(
            {name: of for name, of in scored.items() if name not in result.references},
            event=event,
        ),
        "murphy": murphy_diagram(scored, event=event),
        "roc": roc_curve(
            *scored[best],
            event=event,
            threshold=result.config.threshold,
            name=best,
            references={name: filled.probability[name][rows] for name in result.references},
        ),
    }


def _csv(rows: Iterator[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_csv(index=False)


def _number(value: float) -> float | str | None:
    """Return a number as JSON has it: None for NaN, a text for an infinite one."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else f"{value:g}"


def _score_as_json(score: Score) -> dict[str, Any]:
    return {
        "score": score.name,
        "value": _number(score.value),
        "low": _number(score.low),
        "high": _number(score.high),
        "n": score.n,
        "n_events": score.n_events,
    }


def _as_json(result: Verification) -> dict[str, Any]:
    """Return all scores, differences, counts and settings as JSON values."""
    samples = result.samples
    differences: dict[str, list[dict[str, Any]]] = {event: [] for event in result.events}
    for row in _pair_rows(result):
        differences[row.pop("event")].append(row)
    return {
        "settings": {key: str(value) for key, value in result.config.model_dump().items()},
        "samples": len(samples),
        "first": str(samples.times[0]),
        "last": str(samples.times[-1]),
        "events": {event: int(of.sum()) for event, of in samples.outcomes.items()},
        "resampled_groups": result.groups,
        "synthetic": samples.synthetic,
        "methods": list(result.methods),
        "references": list(result.references),
        "missing": {event: of.missing for event, of in result.scored.items()},
        "suspect": result.suspect,
        "scores": {
            event: {name: [_score_as_json(score) for score in of] for name, of in scores.items()}
            for event, scores in result.scores.items()
        },
        "reliability": {event: bins_of(result, event) for event in result.events},
        "differences": differences,
    }


def _monitoring_as_json(watched: Monitoring) -> dict[str, Any]:
    rows = [
        {k: _number(v) if isinstance(v, float) else v for k, v in asdict(one).items()}
        for one in watched.drifts
    ]
    return {"notes": list(watched.notes), "lines": list(watched.lines), "drift": rows}


def _score_rows(result: Verification) -> Iterator[dict[str, Any]]:
    for event, of in result.scores.items():
        for name, scores in of.items():
            for score in scores:
                yield {"event": event, "method": name, **_score_as_json(score)}


def _pair_rows(result: Verification) -> Iterator[dict[str, Any]]:
    for event, of in result.pairs.items():
        for (one, other), scores in of.items():
            for score in scores:
                yield {"event": event, "first": one, "second": other, **_score_as_json(score)}


def _month_rows(result: Verification) -> Iterator[dict[str, Any]]:
    for one in result.months:
        row: dict[str, Any] = {
            "month": one.month,
            "event": one.event,
            "method": one.method,
            "n": one.brier.n,
            "n_events": one.brier.n_events,
            "event_rate": one.rate,
            "mean_probability": one.probability,
        }
        for score in (one.brier, one.skill):
            row[score.name] = score.value
            row[f"{score.name}_low"], row[f"{score.name}_high"] = score.low, score.high
        yield row


def _sample_frame(result: Verification) -> pd.DataFrame:
    """Return a row for each sample: window, region, outcomes and all forecasts as scored."""
    samples = result.samples
    times = {
        "time": samples.times,
        "valid_from": samples.starts,
        "valid_to": samples.starts + samples.window,
    }
    columns: dict[str, Any] = {
        name: np.char.add(np.datetime_as_string(of, unit="m"), "Z") for name, of in times.items()
    }
    if samples.by_region:
        columns["region"] = samples.regions
    columns |= {f"o_{event}": of.astype(int) for event, of in samples.outcomes.items()}
    for event, filled in result.scored.items():
        columns |= {f"{name} p_{event}": values for name, values in filled.probability.items()}
    return pd.DataFrame(columns)


def metrics_of(result: Verification) -> dict[str, float]:
    """Return the headline of all methods as ``verify/EVENT/SCORE/METHOD``, with intervals."""
    metrics: dict[str, float] = {}
    for event in result.events:
        for name, scores in result.scores[event].items():
            of = re.sub(r"[^\w .\-]", "_", name)  # MLflow's names take no other signs
            metrics |= headline_metrics(scores, SPLIT, of=of)
    return metrics


def headline_metrics(scores: tuple[Score, ...], split: str, *, of: str = "") -> dict[str, float]:
    """Return the ``HEADLINE`` of one method as metrics."""
    metrics: dict[str, float] = {}
    for score in scores:
        if score.name in HEADLINE:
            metrics |= _finite(score).metrics(split, of=of)
    return metrics


def table_rows(result: Verification) -> list[dict[str, object]]:
    """Return the rows of the score table: all scores, and the differences of all pairs."""
    named = [item for of in result.scores.values() for item in of.items()]
    named += [
        (f"{one} - {other}", scores)
        for pairs in result.pairs.values()
        for (one, other), scores in pairs.items()
    ]
    return [
        row
        for name, scores in named
        for row in score_rows(map(_finite, scores), split=SPLIT, forecaster=name)
    ]


def _finite(score: Score) -> Score:
    """Return a score with NaN for what is infinite, which JSON does not have."""
    value, low, high = (
        math.nan if math.isinf(number) else number
        for number in (score.value, score.low, score.high)
    )
    return replace(score, value=value, low=low, high=high)
