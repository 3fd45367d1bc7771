"""Entry point ``evaluate``: a model, the forest and climatology on the same samples, one table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flare.config import EvaluateConfig
from flare.datasets.packed import Pack, PackedSplit
from flare.datasets.splits import check_disjoint
from flare.errors import DatasetInvalid
from flare.forecasters.base import Forecaster
from flare.tracking.data_identity import log_data
from flare.tracking.names import KIND_TAG
from flare.tracking.runs import Run, scratch, start
from flare.workflows.data import open_packed
from flare.workflows.models import Resolved, resolve
from flare.workflows.output import check_folder, put_file
from flare.workflows.report import write_report
from flare.workflows.rivals import climatology_of, forest_of
from flare.workflows.scoring import (
    CLIMATOLOGY,
    Comparison,
    compare,
    forecast_rows,
    issued,
    observed,
)


@dataclass(frozen=True)
class Evaluation:
    """Scores by the name of the forecaster, the model's first; and where the report lies."""

    comparison: Comparison
    synthetic: bool
    split: str
    overlapping: tuple[str, ...]
    report: Path
    run_id: str


def run(config: EvaluateConfig) -> Evaluation:
    """Forecast, score with intervals over active regions, write and log the report."""
    check_folder(config.output_dir, "output_dir")
    with start("evaluate", name="evaluate") as tracked:
        tracked.log_params(config.model_dump())
        model = resolve(config.model, config.model_name)
        tracked.set_tags({"mlflow.runName": f"evaluate {model.label} on {config.split}"})
        size = model.forecaster.spec.image_size
        pack = open_packed(
            config.data_dir, config.pack_dir, image_size=size, processes=config.processes
        )
        model = _marked(model, pack)
        rows = pack.split(config.split)
        contestants = _contestants(model, pack, config)
        overlapping = _overlapping(contestants, pack, rows, allowed=config.allow_overlap)
        forecasts = {
            name: forecast_rows(one, rows, np.arange(len(rows)), title=f"forecast {name}")
            for name, one in contestants.items()
        }
        comparison = compare(
            {name: issued(contestants[name], one) for name, one in forecasts.items()},
            observed(rows),
            resamples=config.resamples,
        )
        with scratch() as draft:
            write_report(draft, model, pack, rows, forecasts, comparison, overlapping=overlapping)
            _log(tracked, draft, model, pack, rows, comparison, overlapping=overlapping)
            report = _put(draft, config.output_dir)
    return Evaluation(comparison, pack.synthetic, config.split, overlapping, report, tracked.id)


def _overlapping(
    contestants: Mapping[str, Forecaster], pack: Pack, rows: PackedSplit, *, allowed: bool
) -> tuple[str, ...]:
    """Refuse forecasters, rivals too, that have seen these regions; name those let through."""
    found = []
    for name, forecaster in contestants.items():
        if forecaster.origin.synthetic != pack.synthetic:
            continue  # invented regions bear numbers of real ones
        try:
            check_disjoint(forecaster.origin.active_regions, rows.table["active_region"])
        except DatasetInvalid as error:
            if not allowed:
                raise DatasetInvalid(
                    f"{name} was fitted on regions of the {rows.name} split: {error}; "
                    "pass -P allow_overlap=true to score it all the same, marked as such"
                ) from error
            found.append(name)
    return tuple(found)


def _marked(model: Resolved, pack: Pack) -> Resolved:
    """Say in its label that a model knows only synthetic regions, where the data are not."""
    if model.forecaster.origin.synthetic and not pack.synthetic:
        return replace(model, label=f"{model.label} (trained on SYNTHETIC data)")
    return model


def _contestants(model: Resolved, pack: Pack, config: EvaluateConfig) -> dict[str, Forecaster]:
    size = model.forecaster.spec.image_size
    found = {model.label: model.forecaster}
    forest = forest_of(pack, image_size=size, model_name=config.model_name, beside=model.version)
    if forest is not None:
        found[forest[0]] = forest[1]
    return {**found, CLIMATOLOGY: climatology_of(pack, image_size=size)}


def _log(
    tracked: Run,
    folder: Path,
    model: Resolved,
    pack: Pack,
    rows: PackedSplit,
    comparison: Comparison,
    *,
    overlapping: tuple[str, ...],
) -> None:
    log_data(
        tracked,
        name=pack.name,
        fingerprint=pack.fingerprint,
        source=str(pack.folder),
        synthetic=pack.synthetic,
        context=rows.name,
        profile={"samples": len(rows), "active_regions": rows.table["active_region"].nunique()},
    )
    for name, card in comparison.scorecards.items():
        metrics = card.metrics(rows.name)
        if name != model.label:
            rival = name.split(" ")[0]
            metrics = {
                f"{rival}/{key}": value
                for key, value in metrics.items()
                if not key.endswith(("_low", "_high", "n_events"))
            }
        tracked.log_metrics(metrics)
    above = comparison.above_climatology[model.label]
    tracked.log_metrics({f"{rows.name}/{above.event}/brier_skill_above_climatology": above.value})
    for path in sorted(folder.iterdir()):
        tracked.log_file(path, "figures" if path.suffix == ".png" else None)
    about = {KIND_TAG: model.forecaster.kind, "flare.model": model.label}
    if model.version is not None:
        about[KIND_TAG] = model.version.kind or model.forecaster.kind
        about["flare.model_version"] = str(model.version.version)
    if overlapping:
        about["flare.trained_on_scored_regions"] = ", ".join(overlapping)
    tracked.set_tags(about)
    tracked.describe((folder / "report.md").read_text(encoding="utf-8"))


def _put(draft: Path, output_dir: Path) -> Path:
    """Move the finished report to its place, over an older one."""
    for path in sorted(draft.iterdir()):
        put_file(output_dir / path.name, path.read_bytes())
    return output_dir
