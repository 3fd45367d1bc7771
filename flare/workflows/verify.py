"""Entry point ``verify``: score forecasts of any origin from files."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flare.config.verify import VerifyConfig, hours
from flare.errors import ConfigInvalid, InputInvalid
from flare.files import check_folder, combine_digests, digest_of_file
from flare.forecast_history import HISTORY_FILE
from flare.goes import HEADLINE_EVENT
from flare.tracking.run import Run, log_data
from flare.tracking.runs import start
from flare.tracking.tags import SCORE_TABLE, SCREENING_TAG
from flare.tracking.version_details import VersionDetails, details_of, log_verification
from flare.verification.scores import Score
from flare.workflows.evaluation.report_page import publishing
from flare.workflows.prediction.resolve_model import Resolved, resolve
from flare.workflows.verifying.flares import read_flares, weaker_events
from flare.workflows.verifying.forecasts import events_of, read_forecasts
from flare.workflows.verifying.monitoring import Monitoring, monitoring
from flare.workflows.verifying.report import headline_metrics, metrics_of, report_of, table_rows
from flare.workflows.verifying.samples import Samples, make_samples
from flare.workflows.verifying.sections import lines_of, summary_of
from flare.workflows.verifying.tables import named
from flare.workflows.verifying.verification import Verification, verify

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
        table, notes = read_forecasts(paths, config)
        table = _between(table, config)
        if model is not None:
            _check_has_forecasts(model, table, paths[0])
            if not config.forecasts:
                config = config.model_copy(update={"methods": _method(model)})
        table = _chosen(table, config.methods)
        flares = None if config.events is None else read_flares(config.events, config)
        notes += [] if flares is None else weaker_events(flares, events_of(table))
        for note in notes:
            log.warning("%s", note)
        samples = make_samples(table, flares, config)
        _log_inputs(tracked, paths, config.events, samples)
        result = verify(samples, flares, config)
        watched = Monitoring(notes=tuple(notes))
        if model is not None:
            watched = _monitoring(result, model, table, notes)
        with publishing(report_of(result, watched), tracked, config.output_dir):
            _log_scores(tracked, result, watched)
        if model is not None:
            model.log_use(tracked)
            _log_to_version(tracked, result, model, watched)
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


def _check_has_forecasts(model: Resolved, table: pd.DataFrame, path: Path) -> None:
    if model.version is None:
        raise ConfigInvalid(
            f"model: {model.label} is not a registered version, to which scores can be logged; "
            "give a version number, an alias or a run id, or leave it out and pass -P forecasts="
        )
    methods = list(dict.fromkeys(table["method"]))
    if _method(model) not in methods:
        raise InputInvalid(f"{path} has no forecasts of {_method(model)}; it has {named(methods)}")


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
    result: Verification, model: Resolved, table: pd.DataFrame, notes: list[str]
) -> Monitoring:
    method, version = _method(model), model.version
    details = details_of(version.run_id, version=version) if version else VersionDetails()
    return monitoring(
        _scores_of(result, method),
        table[table["method"] == method],
        model.forecaster,
        before=details.scores,
        scored_on=details.scores_on,
        notes=notes,
    )


def _scores_of(result: Verification, method: str) -> tuple[Score, ...]:
    """Return all scores of one method."""
    return tuple(one for of in result.scores.values() for one in of.get(method, ()))


def _log_scores(tracked: Run, result: Verification, watched: Monitoring) -> None:
    tracked.log_metrics(metrics_of(result))
    tracked.log_table(pd.DataFrame(table_rows(result)), SCORE_TABLE)
    lines = "\n".join(f"- {line}" for line in (*lines_of(result), *watched.lines))
    tracked.describe(f"{summary_of(result)}\n\n{lines}")
    tracked.set_tags({SCREENING_TAG: "; ".join(result.suspect) or "ok"})


def _log_to_version(
    tracked: Run, result: Verification, model: Resolved, watched: Monitoring
) -> None:
    """Log the scores of a version to its run and its tags, with those of each month."""
    method, times = _method(model), result.samples.starts
    scores = _scores_of(result, method)
    monthly = [
        (f"{VERIFIED}/{one.event}/{one.skill.name}/by_month", one.skill.value, one.month)
        for one in result.months
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
            tags[f"flare.{VERIFIED}_{score.name}"] = score.text(".6f")
            tags[f"flare.{VERIFIED}_n_events"] = str(score.n_events)
    assert model.version is not None  # it was checked
    log_verification(model.version, headline_metrics(scores, VERIFIED), monthly, tags)


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
