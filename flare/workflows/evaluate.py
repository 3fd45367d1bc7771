"""Entry point ``evaluate``: a model, the forest and climatology on the same samples, one table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flare.config import EvaluateConfig
from flare.datasets.packed import Pack, PackedSplit
from flare.errors import DatasetInvalid
from flare.forecasters.base import Forecaster
from flare.tracking.names import SEEN_TAG
from flare.tracking.runs import Run, scratch, start
from flare.workflows.data import log_split, open_packed
from flare.workflows.models import Resolved, resolve
from flare.workflows.oracle import oracle_of
from flare.workflows.output import check_folder, put_file
from flare.workflows.overlap import regions_of, seen_regions, shown
from flare.workflows.report import write_report
from flare.workflows.rivals import climatology_of, forest_of
from flare.workflows.scoring import (
    CLIMATOLOGY,
    ORACLE,
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
        log_split(tracked, pack, rows, config.data_dir, context=rows.name)
        log_split(tracked, pack, pack.split("training"), config.data_dir, context="rivals")
        contestants = _contestants(model, pack, config)
        overlapping = _overlapping(contestants, pack, rows, allowed=config.allow_overlap)
        if overlapping:
            _mark_overlap(tracked, model, config.split, overlapping)
        forecasts = {
            name: forecast_rows(one, rows, np.arange(len(rows)), title=f"forecast {name}")
            for name, one in contestants.items()
        }
        told = {name: issued(contestants[name], one) for name, one in forecasts.items()}
        oracle = oracle_of(config.data_dir, rows.table, pack.split("training").table)
        if oracle is not None:
            told[ORACLE] = oracle
        comparison = compare(told, observed(rows), resamples=config.resamples)
        with scratch() as draft:
            write_report(draft, model, pack, rows, forecasts, comparison, overlapping=overlapping)
            _log(tracked, draft, model, config.split, comparison)
            report = _put(draft, config.output_dir)
    return Evaluation(comparison, pack.synthetic, config.split, overlapping, report, tracked.id)


def _overlapping(
    contestants: Mapping[str, Forecaster], pack: Pack, rows: PackedSplit, *, allowed: bool
) -> tuple[str, ...]:
    """Refuse forecasters, rivals too, that have seen these regions; name those let through."""
    found = []
    regions = regions_of(pack, rows)
    for name, forecaster in contestants.items():
        seen = seen_regions(forecaster.origin, regions)
        if seen and not allowed:
            raise DatasetInvalid(
                f"{name} was fitted or tuned on {len(seen)} of the {len(regions.numbers)} active "
                f"regions of the {rows.name} split ({shown(seen)}), so its scores would be of "
                "memory; score another split or dataset, or pass -P allow_overlap=true to score "
                "it all the same, marked as such"
            )
        if seen:
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


def _mark_overlap(tracked: Run, model: Resolved, split: str, names: tuple[str, ...]) -> None:
    """Make an overruled refusal stand out in the list of runs, from the start."""
    name = f"evaluate {model.label} on {split}, regions SEEN in training"
    tracked.set_tags({"mlflow.runName": name, SEEN_TAG: ", ".join(names)})


def _log(tracked: Run, folder: Path, model: Resolved, split: str, comparison: Comparison) -> None:
    for name, card in comparison.scorecards.items():
        metrics = card.metrics(split)
        if name != model.label:
            rival = name.split(" ")[0]
            metrics = {
                f"{rival}/{key}": value
                for key, value in metrics.items()
                if not key.endswith(("_low", "_high", "n_events"))
            }
        tracked.log_metrics(metrics)
    above = comparison.above_climatology[model.label]
    tracked.log_metrics({f"{split}/{above.event}/brier_skill_above_climatology": above.value})
    for path in sorted(folder.iterdir()):
        tracked.log_file(path, "figures" if path.suffix == ".png" else None)
    tracked.set_tags(model.tags())
    tracked.describe((folder / "report.md").read_text(encoding="utf-8"))


def _put(draft: Path, output_dir: Path) -> Path:
    """Move the finished report to its place, over an older one."""
    for path in sorted(draft.iterdir()):
        put_file(output_dir / path.name, path.read_bytes())
    return output_dir
