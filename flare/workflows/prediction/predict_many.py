"""Forecasts of every sample of a folder: read ahead, in batches, continued after an interruption.

A batch holds the same samples in every run, by their number, so a file that was finished in two
runs equals one that was made in one, to the byte.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flare.config import PredictConfig
from flare.config.groups import PREDICT_OUTPUT, base_rates
from flare.datasets.listing import Entry, Listing, list_samples
from flare.datasets.sample_batches import SampleBatch, decode_batches
from flare.errors import InputInvalid
from flare.forecasters.answer import answers
from flare.forecasters.base import Forecaster
from flare.progress import counter
from flare.sample import N_PLANES
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run, start
from flare.workflows.evaluation.overlap import Regions, seen_regions
from flare.workflows.prediction.prediction_checkpoint import Journal, Task
from flare.workflows.prediction.prediction_table import (
    Forecasts,
    Row,
    check_output,
    no_answer,
    write_forecasts,
)
from flare.workflows.prediction.resolve_model import resolve

log = logging.getLogger("flare")

#: Samples that go through the forecaster at once; more gains nothing and costs memory.
BATCH = 16

_REJECTED = "rejected_images.csv"


def run(data_dir: Path, config: PredictConfig) -> Forecasts:
    """Forecast a folder of samples into a file."""
    output = config.output if config.output is not None else PREDICT_OUTPUT
    check_output(output)
    with start("predict", name=f"predict {data_dir.name}") as tracked:
        tracked.log_config(config)
        listing = list_samples(data_dir, config.split)
        model = resolve(config.model, config.model_name).at_rates(base_rates(config.base_rates))
        task = Task(model.digest, listing.state, listing.split, len(listing), BATCH)
        with Journal(output, task, restart=config.restart) as journal:
            resumed = len(journal.lines)
            if resumed:
                log.info("continuing: %d of %d samples are done already", resumed, len(listing))
            try:
                _fill(journal, listing, model.forecaster, config.processes or None)
            except KeyboardInterrupt:
                _tell_how_to_continue(journal, len(listing))
                raise
            found = Forecasts(
                [line["row"] for line in journal.lines],
                model.label,
                output,
                synthetic=model.forecaster.origin.synthetic,
                synthetic_data=listing.synthetic,
                resumed=resumed,
            )
            if len(found.without) == len(found.rows):
                journal.remove()
                raise InputInvalid(f"no image in {data_dir} can be used; look at its files")
            write_forecasts(found.rows, output)
            _log_data(tracked, listing, journal, data_dir)
            model.log_use(tracked)
            tracked.log_metrics({**found.summary(), "resumed": resumed})
            tracked.log_file(output)
            journal.remove()
    return found


def _fill(
    journal: Journal, listing: Listing, forecaster: Forecaster, processes: int | None
) -> None:
    """Forecast the batches that the journal lacks."""
    first = len(journal.lines)
    batches = [
        listing.entries[begin : begin + BATCH] for begin in range(first, len(listing), BATCH)
    ]
    sources = [[(entry.folder, entry.start) for entry in batch] for batch in batches]
    size = forecaster.spec.image_size
    seen = frozenset(seen_regions(forecaster.origin, _regions(listing)))
    with (
        closing(decode_batches(sources, image_size=size, processes=processes)) as read,
        counter("predict") as progress,
    ):
        for entries, batch in zip(batches, read, strict=True):
            rows = _rows(forecaster, entries, batch, seen=seen)
            told = zip(rows, batch.digests, batch.rejected, strict=True)
            journal.append(
                [{"row": row, "images": images, "rejected": bad} for row, images, bad in told]
            )
            progress(len(journal.lines), len(listing))


def _regions(listing: Listing) -> Regions:
    numbers = {entry.active_region for entry in listing.entries if entry.active_region is not None}
    return Regions(frozenset(numbers), bool(listing.synthetic), listing.seed)


def _rows(
    forecaster: Forecaster, entries: Sequence[Entry], batch: SampleBatch, *, seen: frozenset[int]
) -> list[Row]:
    """Forecast one batch; a sample without an image takes no part and gets an empty row."""
    usable = np.asarray(batch.present.any(axis=(1, 2)))  # (n,)
    forecast = forecaster.predict(batch.cubes[usable], batch.present[usable])
    made = iter(answers(forecaster, forecast))
    rows: list[Row] = []
    for k, entry in enumerate(entries):
        answer: dict[str, Any] = (
            dict(next(made)) if usable[k] else no_answer(forecaster.spec.events)
        )
        missing = N_PLANES - int(batch.present[k].sum())
        about = _about(entry, batch.ends[k], seen)
        rows.append({"id": entry.id, **about, **answer, "missing_images": missing})
    return rows


def _about(entry: Entry, end: datetime, seen: frozenset[int]) -> Row:
    """Return what is known of a sample: with a table also its label, to verify the forecast by."""
    issued = entry.end if entry.end is not None else end
    known: Row = {"issue_time": f"{issued.isoformat()}Z", "active_region": entry.active_region}
    if entry.peak_flux is not None:
        known["observed_peak_flux_w_m2"] = entry.peak_flux
        known["seen_in_training"] = entry.active_region in seen
    return known


def _log_data(tracked: Run, listing: Listing, journal: Journal, data_dir: Path) -> None:
    """Log the identity of what was forecast, and which images could not be used."""
    digests = {line["row"]["id"]: line["images"] for line in journal.lines}
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
        (line["row"]["id"], file, reason)
        for line in journal.lines
        for file, reason in line["rejected"]
    ]
    if rejected:
        table = pd.DataFrame(rejected, columns=["id", "file", "reason"])
        tracked.log_text(table.to_csv(index=False), _REJECTED)
        counts = ", ".join(f"{n} {why}" for why, n in sorted(Counter(table["reason"]).items()))
        log.info("images masked as missing: %s (listed in the run's %s)", counts, _REJECTED)


def _tell_how_to_continue(journal: Journal, total: int) -> None:
    if journal.lines:
        log.info(
            "%d of %d samples are kept in %s; the same command continues there",
            len(journal.lines),
            total,
            journal.path,
        )
