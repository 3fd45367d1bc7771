"""A census in a run: which data it is of, and its counts as metrics."""

from pathlib import Path

from flare.datasets.sdobenchmark.census import Census
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run


def log_census(tracked: Run, census: Census, data_dir: Path) -> None:
    """Attach each split to a run, and log what was counted as ``training/samples`` and the like."""
    for name, split in census.splits.items():
        log_data(
            tracked,
            name=census.name,
            fingerprint=census.fingerprint,
            source=str(data_dir),
            synthetic=census.synthetic,
            context=name,
            profile=split.counts,
        )
        missing = {f"missing/{key}": sum(counts) for key, counts in split.missing.items()}
        checks = {f"checks/{key}": finding.count for key, finding in split.findings.items()}
        metrics = {**split.counts, **missing, **checks, "minutes_off": split.minutes_off}
        tracked.log_metrics({f"{name}/{key}": value for key, value in metrics.items()})
    tracked.set_tags({"flare.matches_published": str(census.matches_published).lower()})
