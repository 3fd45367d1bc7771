"""Entry point ``evaluate``: score a model and reference forecasts on the same samples."""

from collections.abc import Mapping

import numpy as np

from flare.config import EvaluateConfig
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.files import check_folder
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, Regions
from flare.forecasters.references.oracle import oracle_of, true_probabilities
from flare.forecasters.references.persistence import PERSISTENCE, persistence
from flare.goes import EVENTS
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.tags import SEEN_TAG
from flare.verification.inputs import Observations
from flare.verification.resampling import TrueProbabilities
from flare.workflows.data.audit import audit_of
from flare.workflows.evaluation.comparison import (
    CLIMATOLOGY,
    FOREST,
    ORACLE,
    Comparison,
    compare,
    subsets_of,
)
from flare.workflows.evaluation.figures import figures_of
from flare.workflows.evaluation.record import log_scores
from flare.workflows.evaluation.references import (
    fit_references,
    forecast_references,
    held_out_regions,
    reference_data,
)
from flare.workflows.evaluation.report import Evaluation, files_of, sections_of, summary_of
from flare.workflows.evaluation.report_page import Report, publishing
from flare.workflows.fitting.cross_validation import forecast_rows, training_rates
from flare.workflows.fitting.training_data import (
    TrainingData,
    log_reference_data,
    log_split,
    open_packed,
)
from flare.workflows.prediction.resolve_model import Resolved, resolve


def run(config: EvaluateConfig) -> Evaluation:
    """Forecast, score with intervals over active regions, write and log the report."""
    check_folder(config.output_dir, "output_dir")
    with start("evaluate", name="evaluate") as tracked:
        tracked.log_config(config)
        stated = config.rates
        model = resolve(config.model, config.model_name).at_rates(stated)
        tracked.set_tags({"mlflow.runName": f"evaluate {model.label} on {config.split}"})
        pack = open_packed(config, model.forecaster.spec.image_size)
        rows = pack.split(config.split)
        log_split(tracked, pack, rows, config.data_dir, context=rows.name)
        models = _models(model, pack, config)
        forecasters = {name: one.forecaster for name, one in models.items()}
        # Before references are fitted, which takes minutes.
        overlapping = _overlapping(forecasters, pack, rows, allowed=config.allow_overlap)
        training = reference_data(pack, held_out_regions(model, pack))
        log_reference_data(tracked, training, config.data_dir)
        references = fit_references(training)
        overlapping += _overlapping(references, pack, rows, allowed=config.allow_overlap)
        if overlapping:
            name = f"evaluate {model.label} on {config.split}, regions SEEN in training"
            tracked.set_tags({"mlflow.runName": name, SEEN_TAG: ", ".join(overlapping)})
        forecasts = {
            name: forecast_rows(one, rows, np.arange(len(rows)), title=f"forecast {name}")
            for name, one in forecasters.items()
        }
        forecasts |= _reference_forecasts(references, training, rows, config)
        comparison = _compared(
            forecasts, training, rows, config, models=models, references=references
        )
        evaluation = Evaluation(
            model=model,
            pack=pack,
            rows=rows,
            comparison=comparison,
            audit=audit_of(pack),
            overlapping=overlapping,
            base_rates=stated,
            scale=config.scale,
            report=config.output_dir,
            run_id=tracked.id,
        )
        _publish(evaluation, tracked, list(models))
    return evaluation


def _publish(evaluation: Evaluation, tracked: Run, models: list[str]) -> None:
    """Write the report, and log it with the scores."""
    pack, split = evaluation.pack, evaluation.split
    report = Report(
        title=f"{evaluation.comparison.model} on {pack.name}, {split} split",
        summary=summary_of(evaluation),
        sections=sections_of(evaluation),
        figures=figures_of(evaluation),
        files=files_of(evaluation),
        synthetic=pack.synthetic,
    )
    with publishing(report, tracked, evaluation.report):
        log_scores(tracked, evaluation, models=models)


def _models(model: Resolved, pack: Pack, config: EvaluateConfig) -> dict[str, Resolved]:
    """Return the model, and the one to compare it with, by their labels."""
    models = {_label(model, pack): model}
    if config.compare_to:
        stated = config.rates
        other = resolve(config.compare_to, config.model_name).at_rates(stated)
        if other.digest == model.digest:
            raise ConfigInvalid(
                f"compare_to={config.compare_to} is the model that is evaluated, {model.label}; "
                "name another one"
            )
        size = other.forecaster.spec.image_size
        if pack.image_size % size:
            raise ConfigInvalid(
                f"compare_to={config.compare_to} works on images of {size} pixels and "
                f"{model.label} on {pack.image_size}; evaluate it, with compare_to={config.model}"
            )
        missing = set(model.forecaster.spec.events) - set(other.forecaster.spec.events)
        if missing:
            raise ConfigInvalid(
                f"compare_to={config.compare_to} does not forecast {', '.join(sorted(missing))}, "
                f"which {model.label} does; evaluate it, with compare_to={config.model or 'NUMBER'}"
            )
        models[_label(other, pack)] = other
    return models


def _label(model: Resolved, pack: Pack) -> str:
    """Return the label of a model, marked where it was trained on synthetic data but not tested."""
    if model.forecaster.origin.synthetic and not pack.synthetic:
        return f"{model.label} (trained on SYNTHETIC data)"
    return model.label


def _overlapping(
    forecasters: Mapping[str, Forecaster], pack: Pack, rows: PackedSplit, *, allowed: bool
) -> tuple[str, ...]:
    """Return the forecasters that were trained on regions of the split; refuse unless allowed."""
    overlapping = []
    numbers = frozenset(int(region) for region in rows.table["active_region"])
    regions = Regions(numbers, pack.synthetic, pack.synthetic_seed, pack.fingerprint)
    for name, forecaster in forecasters.items():
        seen = forecaster.origin.shared(regions)
        if seen and not allowed:
            shown = ", ".join(map(str, seen[:10])) + (", ..." if len(seen) > 10 else "")
            raise DatasetInvalid(
                f"{name} was fitted on {len(seen)} of the {len(numbers)} active regions of "
                f"the {rows.name} split ({shown}): its training regions overlap the scored "
                "split; score another split or dataset, or pass -P allow_overlap=true to score it "
                "all the same, marked as such"
            )
        if seen:
            overlapping.append(name)
    return tuple(overlapping)


def _reference_forecasts(
    references: Mapping[str, Forecaster],
    training: TrainingData,
    rows: PackedSplit,
    config: EvaluateConfig,
) -> dict[str, Forecast]:
    """Return the forecasts of the references, moved to the stated base rates as the model's are."""
    known = training.rows.table.iloc[training.split.train]
    forecasts = {
        **forecast_references(references, rows),
        PERSISTENCE: persistence(rows.table, known),
    }
    oracle = oracle_of(config.data_dir, rows.table, known)
    if oracle is not None:
        forecasts[ORACLE] = oracle
    own = training_rates(known["peak_flux"].to_numpy(dtype=np.float64), EVENTS)
    stated = config.rates
    return {name: one.at_rates(own, stated) for name, one in forecasts.items()}


def _compared(
    forecasts: Mapping[str, Forecast],
    training: TrainingData,
    rows: PackedSplit,
    config: EvaluateConfig,
    *,
    models: Mapping[str, Resolved],
    references: Mapping[str, Forecaster],
) -> Comparison:
    events = next(iter(forecasts.values())).events
    known = training.peak_flux[training.split.train]
    climatology = training_rates(known, events, scale=config.scale)
    fitted = {
        # Unknown validation regions are counted too.
        name: len({*one.forecaster.origin.active_regions} - held_out_regions(one, training.pack))
        for name, one in models.items()
    }
    for name, one in references.items():
        fitted[name] = len(one.origin.active_regions)
    fitted[PERSISTENCE] = len(training.origin.active_regions)
    return compare(
        forecasts,
        Observations.from_table(rows.table),
        resamples=config.resamples,
        scale=config.scale,
        climatology=climatology,
        subsets=subsets_of(rows.table, rows.present, scale=config.scale),
        in_subsets=[*models, FOREST, CLIMATOLOGY],
        fitted=fitted,
        true_probabilities=_true_probabilities(rows, config),
    )


def _true_probabilities(rows: PackedSplit, config: EvaluateConfig) -> TrueProbabilities | None:
    """Return the true probabilities where they hold: at the generator's own rates and scale."""
    if config.base_rates or config.scale != "raw":
        return None
    return true_probabilities(config.data_dir, rows.table, rows.name)
