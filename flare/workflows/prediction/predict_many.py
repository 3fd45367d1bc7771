"""Forecast every sample of a folder in batches; an interrupted prediction continues.

A batch has the same samples in every run, so a file that was finished in two runs is identical to
one that was made in one. Shard k of n forecasts every n-th batch into a checkpoint of its own, and
a run without a shard takes over what it finds there.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path

import pandas as pd

from flare.config import PredictConfig
from flare.config.groups import PREDICT_OUTPUT
from flare.datasets.listing import Entry, Listing, list_samples
from flare.datasets.sample_batches import SampleBatch, decode_batches
from flare.errors import InputInvalid
from flare.forecast_facts import SampleFacts, Window
from flare.forecasters.base import Regions
from flare.progress import counter
from flare.tracking.run import Run, log_data
from flare.tracking.runs import start
from flare.workflows.prediction.prediction_checkpoint import (
    PredictionCheckpoint,
    Record,
    Shard,
    Task,
    shards_of,
)
from flare.workflows.prediction.prediction_table import (
    Forecasts,
    Row,
    check_output,
    forecast_samples,
    write_forecasts,
)
from flare.workflows.prediction.resolve_model import Resolved, resolve

log = logging.getLogger("flare")

#: Samples per batch; more is not faster and costs memory.
BATCH = 16

_REJECTED = "rejected_images.csv"


def run(data_dir: Path, config: PredictConfig) -> Forecasts:
    """Forecast a folder of samples into a file."""
    output = config.output if config.output is not None else PREDICT_OUTPUT
    check_output(output)
    with start("predict", name=f"predict {data_dir.name}") as tracked:
        tracked.log_config(config)
        listing = list_samples(data_dir, config.split)
        model = resolve(config.model, config.model_name).at_rates(config.rates)
        task = Task(model.digest, listing.state, listing.split, len(listing), BATCH)
        shard = Shard.parse(config.shard)
        known = {} if config.shard else _of_shards(output, task, restart=config.restart)
        place = shard.place(output)
        with PredictionCheckpoint(place, task, restart=config.restart) as checkpoint:
            resumed = len(checkpoint.records)
            _fill(checkpoint, listing, model, config.processes or None, shard, known)
            forecasts = Forecasts(
                [record["row"] for record in checkpoint.records],
                model.label,
                checkpoint.path if config.shard else output,
                synthetic=model.forecaster.origin.synthetic,
                synthetic_data=listing.synthetic,
                resumed=resumed,
            )
            if config.shard:
                _log_use(tracked, model, forecasts)
                log.info("shard %s is done; the same command without shard= merges", config.shard)
                return forecasts
            if len(forecasts.without) == len(forecasts.rows):
                checkpoint.remove()
                raise InputInvalid(f"no image in {data_dir} can be used; look at its files")
            write_forecasts(forecasts.rows, output)
            _log_data(tracked, listing, checkpoint, data_dir)
            _log_use(tracked, model, forecasts)
            tracked.log_file(output)
            checkpoint.remove()
            for path in shards_of(output):
                path.unlink()
    return forecasts


def _log_use(tracked: Run, model: Resolved, forecasts: Forecasts) -> None:
    model.log_use(tracked)
    tracked.log_metrics({**forecasts.summary(), "resumed": forecasts.resumed})


def _of_shards(output: Path, task: Task, *, restart: bool) -> dict[int, list[Record]]:
    """Return the batches that shards have forecast, by number."""
    batches = {}
    for path, shard in shards_of(output).items():
        with PredictionCheckpoint(shard.place(output), task, restart=restart) as checkpoint:
            records = checkpoint.records
            if records:
                log.info("%s has %d of %d samples", path, len(records), task.samples)
            for k in range(0, len(records), BATCH):
                batches[shard.first + k // BATCH * shard.step] = records[k : k + BATCH]
    return batches


def _fill(
    checkpoint: PredictionCheckpoint,
    listing: Listing,
    model: Resolved,
    processes: int | None,
    shard: Shard,
    known: Mapping[int, list[Record]],
) -> None:
    """Forecast the batches of a shard that are neither in the checkpoint nor known."""
    resumed = len(checkpoint.records)
    if resumed:
        log.info("resuming: %d of %d samples are done", resumed, len(listing))
    starts = range(0, len(listing), BATCH)
    done = -(-resumed // BATCH)  # batches
    left = range(len(starts))[shard.first :: shard.step][done:]
    entries = {n: listing.entries[starts[n] : starts[n] + BATCH] for n in left if n not in known}
    sources = [[(entry.folder, entry.start) for entry in batch] for batch in entries.values()]
    numbers = {entry.active_region for entry in listing.entries if entry.active_region is not None}
    regions = Regions(frozenset(numbers), bool(listing.synthetic), listing.seed)
    seen = frozenset(model.forecaster.origin.shared(regions))
    size = model.forecaster.spec.image_size
    with (
        _saved_when_stopped(checkpoint, len(listing)),
        closing(decode_batches(sources, image_size=size, processes=processes)) as read,
        counter("predict") as progress,
    ):
        for number in left:
            if number in known:
                checkpoint.append(known[number])
                continue
            batch = next(read)
            rows = _rows(model, entries[number], batch, seen=seen)
            checkpoint.append([
                {"row": row, "images": digests, "rejected": rejected}
                for row, digests, rejected in zip(rows, batch.digests, batch.rejected, strict=True)
            ])  # fmt: skip
            progress(len(checkpoint.records), len(listing))


@contextmanager
def _saved_when_stopped(checkpoint: PredictionCheckpoint, samples: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint.records:
            log.info(
                "%d of %d samples are saved in %s; the same command continues there",
                len(checkpoint.records),
                samples,
                checkpoint.path,
            )
        raise


def _rows(
    model: Resolved, entries: Sequence[Entry], batch: SampleBatch, *, seen: frozenset[int]
) -> list[Row]:
    """Forecast one batch; samples of a table have their labels too."""
    samples = []
    for k, entry in enumerate(entries):
        end = (entry.end if entry.end is not None else batch.ends[k]).replace(tzinfo=UTC)
        facts = SampleFacts(batch.digests[k], Window(end, end), entry.active_region)
        samples.append((entry.id, facts))
    rows = forecast_samples(model, samples, batch.cubes, batch.present)
    return [
        {name: row[name] for name in ("id", "issue_time", "active_region")}
        | _label(entry, seen)
        | row
        for entry, row in zip(entries, rows, strict=True)
    ]


def _label(entry: Entry, seen: frozenset[int]) -> Row:
    if entry.peak_flux is None:
        return {}
    return {
        "observed_peak_flux_w_m2": entry.peak_flux,
        "seen_in_training": entry.active_region in seen,
    }


def _log_data(
    tracked: Run, listing: Listing, checkpoint: PredictionCheckpoint, data_dir: Path
) -> None:
    """Log the identity of what was forecast, and which images could not be used."""
    digests = {record["row"]["id"]: record["images"] for record in checkpoint.records}
    log_data(
        tracked,
        name=listing.name,
        fingerprint=listing.content(digests),
        source=str(data_dir),
        synthetic=listing.synthetic,
        context="prediction",
        profile={"samples": len(listing), "split": listing.split or "no table"},
    )
    rejected = [
        (record["row"]["id"], file, reason)
        for record in checkpoint.records
        for file, reason in record["rejected"]
    ]
    if rejected:
        table = pd.DataFrame(rejected, columns=["id", "file", "reason"])
        tracked.log_text(table.to_csv(index=False), _REJECTED)
        counts = ", ".join(f"{n} {why}" for why, n in sorted(Counter(table["reason"]).items()))
        log.info("images masked as missing: %s (listed in the run's %s)", counts, _REJECTED)
