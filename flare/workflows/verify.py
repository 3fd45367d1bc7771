"""Entry point ``verify``: score forecasts of any origin from files."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flare.config.verify import VerifyConfig, column_names, hours
from flare.errors import ConfigInvalid, InputInvalid, TrackingUnavailable
from flare.files import check_folder, combine_digests, digest_of_file, write_atomically
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run, scratch, start
from flare.tracking.tags import SCORE_TABLE, SCREENING_TAG
from flare.workflows.verifying.flares import FlareList, read_flares
from flare.workflows.verifying.forecasts import ReadOptions, read_forecasts
from flare.workflows.verifying.report import write_report
from flare.workflows.verifying.run_scores import headline_metrics, table_rows
from flare.workflows.verifying.samples import Samples, make_samples
from flare.workflows.verifying.sections import lines_of, summary_of
from flare.workflows.verifying.tables import named
from flare.workflows.verifying.verification import ScoreRules, Verification, verify


@dataclass(frozen=True)
class Verified:
    """The scores and the folder of the report."""

    verification: Verification
    report: Path
    run_id: str


def run(config: VerifyConfig) -> Verified:
    """Read forecasts and flares, score, write and log the report."""
    check_folder(config.output_dir, "output_dir")
    paths = [Path(part.strip()) for part in config.forecasts.split(",") if part.strip()]
    if not paths:
        raise ConfigInvalid("forecasts is empty; pass -P forecasts=FILE[,FILE...]")
    with start("verify", name=f"verify {named([path.stem for path in paths])}") as tracked:
        tracked.log_config(config)
        table = _chosen(read_forecasts(paths, _options(config)), config.methods)
        flares = None if config.events is None else _flares(config.events, config)
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
        _report(tracked, result, config)
    return Verified(result, config.output_dir, tracked.id)


def _options(config: VerifyConfig) -> ReadOptions:
    return ReadOptions(
        column_names(config.columns),
        config.time_zone,
        config.units == "percent",
        config.negative == "missing",
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


def _report(tracked: Run, result: Verification, config: VerifyConfig) -> None:
    """Write the report, over an older one, and log it; it is written even if MLflow is away."""
    with scratch() as draft:
        write_report(draft, result, config)
        for path in sorted(draft.rglob("*.*")):
            write_atomically(config.output_dir / path.relative_to(draft), path.read_bytes())
        try:
            tracked.log_metrics(headline_metrics(result))
            tracked.log_table(pd.DataFrame(table_rows(result)), SCORE_TABLE)
            for path in sorted(draft.rglob("*.*")):
                tracked.log_file(path, None if path.parent == draft else path.parent.name)
            lines = "\n".join(f"- {line}" for line in lines_of(result))
            tracked.describe(f"{summary_of(result)}\n\n{lines}")
            tracked.set_tags({SCREENING_TAG: "; ".join(result.suspect) or "ok"})
        except TrackingUnavailable as error:
            raise TrackingUnavailable(f"{error}; the report is in {config.output_dir}") from error
