"""Entry point ``audit``: check a dataset, and the split that training makes, for leaks."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flare.config import AuditConfig
from flare.datasets.audit.checks import BETWEEN_SIDES, LEAK_CHECKS, AuditFinding, skipped
from flare.datasets.audit.features import feature_names, feature_values, read_feature_file
from flare.datasets.audit.images import (
    Planes,
    identical_images,
    images_in_two_regions,
    masked_uniform_images,
    planes_of,
    uniform_images,
)
from flare.datasets.audit.report import AuditReport
from flare.datasets.audit.tables import (
    audit_sides,
    contradicting_labels,
    duplicate_samples,
    nowcasts,
    timestamps_tell_label,
)
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.splits import Split, split_by_region
from flare.errors import DatasetInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.files import check_folder, write_atomically
from flare.progress import bar, counter
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.tags import AUDIT_TAG, SPLIT_TAG
from flare.workflows.fitting.training_data import log_split, open_packed

#: Samples whose features are checked; features of all of them would take minutes.
FEATURE_SAMPLES = 512
_CHUNK = 32


@dataclass(frozen=True)
class Audit:
    """The report and its folder."""

    report: AuditReport
    folder: Path
    run_id: str


def run(config: AuditConfig) -> Audit:
    """Audit the dataset, and write and log the report."""
    check_folder(config.output_dir, "output_dir")
    with start("audit", name=f"audit {config.data_dir.name}") as tracked:
        tracked.log_config(config)
        pack = open_packed(config, config.image_size)
        for name in pack.samples:
            log_split(tracked, pack, pack.split(name), config.data_dir, context=name)
        split, why = _training_split(pack, share=config.validation_share, seed=config.split_seed)
        report = audit_of(
            pack,
            split,
            why_no_split=why,
            features=config.features,
            features_csv=config.features_csv,
            processes=config.processes or None,
        )
        _log(tracked, report)
        tables = json.dumps(report.as_dict(), indent=1, allow_nan=False)
        for name, text in {"audit.json": tables, "audit.md": report.markdown()}.items():
            tracked.log_text(text, name)
            write_atomically(config.output_dir / name, text)
    return Audit(report, config.output_dir, tracked.id)


def audit_of(
    pack: Pack,
    split: Split | None = None,
    *,
    why_no_split: str = "no split into training and validation was given",
    features: bool = False,
    features_csv: Path | None = None,
    processes: int | None = None,
) -> AuditReport:
    """Check a pack, and a split of its training samples, for leaks.

    ``split`` has rows of training and validation, by `split_by_region` or another method, and
    ``why_no_split`` is the reason in the report where there is none. With ``features`` the values
    of the project's own features are checked too, which takes most of the time; ``features_csv`` is
    the user's own table, with a column ``id``.
    """
    splits = {name: pack.split(name) for name in pack.samples}
    tables = [rows.table for rows in splits.values()]
    own = [] if features_csv is None else _own_features(features_csv, tables)  # may be refused
    with counter("audit images") as progress:
        planes = planes_of(pack, processes=processes, progress=progress)
    findings = [*_between(planes, split, why_no_split), *own]
    for name, images in planes.items():
        place = f"{name}_split"
        findings += [
            images_in_two_regions(images, place=place),
            uniform_images(images, place=place),
            nowcasts(images.table, place=place),
            duplicate_samples(images.table, place=place),
        ]
    findings += [
        masked_uniform_images(pack, place="dataset"),
        contradicting_labels(tables, place="dataset"),
        feature_names(FEATURE_NAMES, place="project"),
    ]
    if "training" in splits:
        findings.append(timestamps_tell_label(splits["training"].table, place="training_split"))
    if features:
        findings.append(_project_features(next(iter(splits.values()))))
    findings.sort(key=lambda finding: list(LEAK_CHECKS).index(finding.check))
    return AuditReport(
        dataset=pack.name,
        synthetic=pack.synthetic,
        fingerprint=pack.fingerprint,
        split_fingerprint=split.fingerprint if split is not None else "",
        findings=tuple(findings),
    )


def _training_split(pack: Pack, *, share: float, seed: int) -> tuple[Split | None, str]:
    """Return the split that training makes, or why there is none."""
    if "training" not in pack.samples:
        return None, "there is no training split"
    try:
        table = pack.split("training").table
        return split_by_region(table, validation_share=share, seed=seed), ""
    except DatasetInvalid as error:
        return None, str(error)


def _between(planes: dict[str, Planes], split: Split | None, why: str) -> list[AuditFinding]:
    """Compare training with test, and training with validation."""
    findings = []
    sides: dict[str, tuple[Planes, Planes]] = {}
    reasons = {}
    missing = [name for name in ("training", "test") if name not in planes]
    if missing:
        reasons["test"] = f"there is no {missing[0]} split"
    else:
        sides["test"] = planes["training"], planes["test"]
    if split is None:
        reasons["validation"] = why
    else:
        whole = planes["training"]
        sides["validation"] = whole.take(split.train), whole.take(split.validation)
    for place, (left, right) in sides.items():
        findings += audit_sides(left.table, right.table, place=place)
        findings.append(identical_images(left, right, place=place))
    for place, reason in reasons.items():
        findings += [skipped(check, place, reason) for check in BETWEEN_SIDES]
    return findings


def _project_features(rows: PackedSplit) -> AuditFinding:
    """Compute features of samples spread over a split, and check their values."""
    some = np.unique(np.linspace(0, len(rows) - 1, FEATURE_SAMPLES).astype(int))
    chunks = bar("audit features", unit=f"times {_CHUNK} samples")(
        np.array_split(some, -(-len(some) // _CHUNK))
    )
    features = np.concatenate(
        [compute_features(rows.cubes[part], rows.present[part]) for part in chunks]
    )
    table = rows.table.iloc[some].reset_index(drop=True)
    return feature_values(features, FEATURE_NAMES, table, place="project")


def _own_features(path: Path, tables: list[pd.DataFrame]) -> list[AuditFinding]:
    features, names, table = read_feature_file(path, tables)
    return [
        feature_names(names, place="features_csv"),
        feature_values(features, names, table, place="features_csv"),
    ]


def _log(tracked: Run, report: AuditReport) -> None:
    tracked.log_metrics(report.metrics())
    tags = {AUDIT_TAG: report.verdict}
    if report.split_fingerprint:
        tags[SPLIT_TAG] = report.split_fingerprint
    tracked.set_tags(tags)
    tracked.describe(report.markdown())
