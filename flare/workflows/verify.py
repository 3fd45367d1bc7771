"""Entry point ``verify``: score forecasts of any origin from files."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flare.config.verify import VerifyConfig, column_names, hours
from flare.errors import ConfigInvalid, InputInvalid, TrackingUnavailable
from flare.files import check_folder, combine_digests, digest_of_file, write_atomically
from flare.forecast_history import HISTORY_FILE
from flare.goes import HEADLINE_EVENT
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run, scratch, start
from flare.tracking.tags import SCORE_TABLE, SCREENING_TAG
from flare.tracking.version_details import VersionDetails, details_of, log_verification
from flare.workflows.prediction.resolve_model import Resolved, resolve
from flare.workflows.verifying.flares import FlareList, read_flares, weaker_events
from flare.workflows.verifying.forecasts import ReadOptions, events_of, read_forecasts
from flare.workflows.verifying.monitoring import Monitoring, input_drifts, monitoring
from flare.workflows.verifying.months import MonthScores, by_month
from flare.workflows.verifying.recorded import of_version
from flare.workflows.verifying.report import write_report
from flare.workflows.verifying.run_scores import HEADLINE, finite, headline_metrics, table_rows
from flare.workflows.verifying.samples import Samples, make_samples
from flare.workflows.verifying.sections import lines_of, summary_of
from flare.workflows.verifying.tables import named
from flare.workflows.verifying.verification import ScoreRules, Verification, verify

log = logging.getLogger("flare")

#: In the names of metrics and tags of a version, in the place of a split.
VERIFIED = "verified"

#: Event and score of the tags of a version.
TAGGED = tuple((HEADLINE_EVENT, name) for name in ("brier_skill_score", "true_skill_statistic"))


@dataclass(frozen=True)
class Verified:
    """The scores and the folder of the report."""

    verification: Verification
    report: Path
    run_id: str
    monitoring: Monitoring


def run(config: VerifyConfig) -> Verified:
    """Read forecasts and flares, score, write and log the report."""
    check_folder(config.output_dir, "output_dir")
    paths = _paths(config)
    name = config.model or named([path.stem for path in paths])
    with start("verify", name=f"verify {name}") as tracked:
        tracked.log_config(config)
        model = resolve(config.model, config.model_name) if config.model else None
        notes: list[str] = []
        table = _between(read_forecasts(paths, _options(config), notes), config)
        if model is not None:
            _check_registered(model)
            of_version(table, _method(model), paths[0])
            if not config.forecasts:
                config = config.model_copy(update={"methods": _method(model)})
        table = _chosen(table, config.methods)
        flares = None if config.events is None else _flares(config.events, config)
        notes += [] if flares is None else weaker_events(flares, events_of(table))
        for note in notes:
            log.warning("%s", note)
        samples = make_samples(
            table,
            flares,
            window_hours=hours(config.window),
            latency_hours=hours(config.latency),
            by=config.by,
            overlap=config.overlap,
        )
        _log_inputs(tracked, paths, config.events, samples)
        result = verify(samples, flares, _rules(config))
        watched = _monitoring(result, model, table, notes)
        months = by_month(result)
        _report(tracked, result, config, watched, months)
        if model is not None:
            model.log_use(tracked)
            _log_to_version(tracked, result, model, watched, months)
    return Verified(result, config.output_dir, tracked.id, watched)


def _paths(config: VerifyConfig) -> list[Path]:
    """Return the files of forecasts: those given, or the history of the server."""
    paths = [Path(part.strip()) for part in config.forecasts.split(",") if part.strip()]
    if not paths and not config.model:
        raise ConfigInvalid(
            "forecasts is empty; pass -P forecasts=FILE[,FILE...], or -P model=Production for the "
            "forecasts of the server"
        )
    if paths:
        return paths
    path = config.history / HISTORY_FILE if config.history.is_dir() else config.history
    if not path.is_file():
        raise InputInvalid(
            f"no file {path}; pass the server's FLARE_STATE_DIR or a saved GET /history.csv as "
            "-P history="
        )
    return [path]


def _method(model: Resolved) -> str:
    """Return the name that the forecasts of a version have as a method."""
    return f"{model.name} {model.number}"


def _check_registered(model: Resolved) -> None:
    if model.version is None:
        raise ConfigInvalid(
            f"model: {model.label} is not a registered version, to which scores can be logged; "
            "give a version number, an alias or a run id, or leave it out and pass -P forecasts="
        )


def _between(table: pd.DataFrame, config: VerifyConfig) -> pd.DataFrame:
    """Return the forecasts whose windows are within ``since`` and ``until``."""
    begin = table["time"] + pd.Timedelta(hours=hours(config.latency))
    end = begin + pd.Timedelta(hours=hours(config.window))
    for text, rows in ((config.since, begin.ge), (config.until, end.le)):
        if text:
            limit = pd.Timestamp(text).tz_convert("UTC").tz_localize(None)
            table = table[rows(limit).reindex(table.index)]
    if table.empty:
        raise InputInvalid(
            f"no window lies between since={config.since or 'the first'} and "
            f"until={config.until or 'the last'}; there are windows from {begin.min()}Z to "
            f"{end.max()}Z"
        )
    return table.reset_index(drop=True)


def _monitoring(
    result: Verification, model: Resolved | None, table: pd.DataFrame, notes: list[str]
) -> Monitoring:
    if model is None:
        return Monitoring(notes=tuple(notes))
    version = model.version
    details = details_of(version.run_id, version=version) if version else VersionDetails()
    rows = table[table["method"] == _method(model)]
    return monitoring(
        result,
        _method(model),
        input_drifts(rows, model.forecaster),
        before=details.scores,
        scored_on=details.scores_on,
        notes=notes,
        recorded=model.forecaster.training_inputs is not None,
    )


def _log_to_version(
    tracked: Run,
    result: Verification,
    model: Resolved,
    watched: Monitoring,
    months: list[MonthScores],
) -> None:
    """Log the scores of a version to its run and its tags, with those of each month."""
    method, times = _method(model), result.samples.starts
    scores = [one for of in result.scores.values() for one in of.get(method, ())]
    metrics: dict[str, float] = {}
    for score in scores:
        if score.name in HEADLINE:
            metrics |= finite(score).metrics(VERIFIED)
    monthly = [
        (f"{VERIFIED}/{one.event}/{one.skill.name}/by_month", one.skill.value, one.month)
        for one in months
        if one.method == method and np.isfinite(one.skill.value)
    ]
    first, last = (np.datetime_as_string(times[place], unit="D") for place in (0, -1))
    tags = {
        f"flare.{VERIFIED}_from": str(first),
        f"flare.{VERIFIED}_to": str(last),
        f"flare.{VERIFIED}_run": tracked.id,
        f"flare.{VERIFIED}_input_moved": watched.moved,
    }
    for score in scores:
        if (score.event, score.name) in TAGGED and np.isfinite(score.value):
            text = f"{score.value:.6f} [{score.low:.6f}, {score.high:.6f}]"
            tags[f"flare.{VERIFIED}_{score.name}"] = text
            tags[f"flare.{VERIFIED}_n_events"] = str(score.n_events)
    assert model.version is not None  # it was checked
    log_verification(model.version, metrics, monthly, tags)


def _options(config: VerifyConfig) -> ReadOptions:
    return ReadOptions(
        column_names(config.columns),
        config.time_zone,
        config.units == "percent",
        config.negative == "missing",
        hours(config.window) + hours(config.latency),
        config.duplicates == "last",
    )


def _rules(config: VerifyConfig) -> ScoreRules:
    return ScoreRules(
        config.missing,
        config.threshold,
        config.climatology_days,
        config.bootstrap,
        config.block_days,
        config.resamples,
        config.seed,
        config.laplace,
    )


def _flares(path: Path, config: VerifyConfig) -> FlareList:
    return read_flares(
        path,
        column_names(config.event_columns),
        time_zone=config.time_zone,
        scale=config.scale,
        begins=config.events_from,
        ends=config.events_until,
    )


def _chosen(table: pd.DataFrame, methods: str) -> pd.DataFrame:
    """Return the forecasts of the named methods, of all where none is named."""
    wanted = [part.strip() for part in methods.split(",") if part.strip()]
    if not wanted:
        return table
    there = list(dict.fromkeys(table["method"]))
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise InputInvalid(f"methods: there is no {unknown[0]!r}; there are {', '.join(there)}")
    return table[table["method"].isin(wanted)].reset_index(drop=True)


def _log_inputs(tracked: Run, paths: list[Path], events: Path | None, samples: Samples) -> None:
    """Attach the files as dataset inputs."""
    counts = {f"events_{event}": int(of.sum()) for event, of in samples.outcomes.items()}
    files = {str(path): digest_of_file(path) for path in paths}
    if events is not None:
        log_data(
            tracked,
            name=events.stem,
            fingerprint=digest_of_file(events),
            source=str(events.absolute()),
            synthetic=None,
            context="flares",
            profile=counts,
        )
    log_data(
        tracked,
        name=named([path.stem for path in paths]),
        fingerprint=combine_digests(files),
        source=",".join(str(path.absolute()) for path in paths),
        synthetic=True if samples.synthetic else None,
        context="forecasts",
        profile={"samples": len(samples), "methods": len(samples.methods), **counts},
    )


def _report(
    tracked: Run,
    result: Verification,
    config: VerifyConfig,
    watched: Monitoring,
    months: list[MonthScores],
) -> None:
    """Write the report, over an older one, and log it; it is written even if MLflow is away."""
    with scratch() as draft:
        write_report(draft, result, config, watched, months)
        for path in sorted(draft.rglob("*.*")):
            write_atomically(config.output_dir / path.relative_to(draft), path.read_bytes())
        try:
            tracked.log_metrics(headline_metrics(result))
            tracked.log_table(pd.DataFrame(table_rows(result)), SCORE_TABLE)
            for path in sorted(draft.rglob("*.*")):
                tracked.log_file(path, None if path.parent == draft else path.parent.name)
            lines = "\n".join(f"- {line}" for line in (*lines_of(result), *watched.lines))
            tracked.describe(f"{summary_of(result)}\n\n{lines}")
            tracked.set_tags({SCREENING_TAG: "; ".join(result.suspect) or "ok"})
        except TrackingUnavailable as error:
            raise TrackingUnavailable(f"{error}; the report is in {config.output_dir}") from error
