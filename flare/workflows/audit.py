"""Entry point ``audit``: look for leaks in a dataset and in the division that training makes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flare.config import AuditConfig
from flare.datasets.audit.checks import BETWEEN_SIDES, CHECKS, AuditFinding, skipped
from flare.datasets.audit.columns import feature_names, feature_values
from flare.datasets.audit.feature_file import read_feature_file
from flare.datasets.audit.images import (
    identical_images,
    images_in_two_regions,
    masked_uniform_images,
    uniform_images,
)
from flare.datasets.audit.labels import contradicting_labels, duplicate_samples, nowcasts
from flare.datasets.audit.planes import Planes, planes_of
from flare.datasets.audit.report import AuditReport
from flare.datasets.audit.sides import Sides, audit_sides
from flare.datasets.audit.timestamps import timestamps_tell_label
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.splits import Split, split_by_region
from flare.errors import DatasetInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.files import check_folder, write_atomically
from flare.progress import bar, counter
from flare.tracking.runs import Run, scratch, start
from flare.tracking.tags import AUDIT_TAG, SPLIT_TAG
from flare.workflows.fitting.training_data import log_split, open_packed

#: The order of a column shows in so many samples; features of all of them would take minutes.
FEATURE_SAMPLES = 512
_CHUNK = 32


@dataclass(frozen=True)
class Audit:
    """The report, and where it lies."""

    report: AuditReport
    folder: Path
    run_id: str


def run(config: AuditConfig) -> Audit:
    """Audit, write and log."""
    check_folder(config.output_dir, "output_dir")
    with start("audit", name=f"audit {config.data_dir.name}") as tracked:
        tracked.log_config(config)
        pack = open_packed(
            config.data_dir,
            config.pack_dir,
            image_size=config.image_size,
            processes=config.processes,
        )
        for name in pack.samples:
            log_split(tracked, pack, pack.split(name), config.data_dir, context=name)
        split, why = _division(pack, share=config.validation_share, seed=config.split_seed)
        report = audit_of(
            pack,
            split,
            why_no_split=why,
            features=config.features,
            features_csv=config.features_csv,
            processes=config.processes or None,
        )
        with scratch() as draft:
            _write(draft, report)
            _log(tracked, draft, report)
            for path in sorted(draft.iterdir()):
                write_atomically(config.output_dir / path.name, path.read_bytes())
    return Audit(report, config.output_dir, tracked.id)


def audit_of(
    pack: Pack,
    split: Split | None = None,
    *,
    why_no_split: str = "no division into training and validation was given",
    features: bool = False,
    features_csv: Path | None = None,
    processes: int | None = None,
) -> AuditReport:
    """Look for leaks in a pack, and in a division of its training split.

    Parameters
    ----------
    split
        Rows of the training split, as `split_by_region` returns them, or anybody's own.
    why_no_split
        What the report says where there is none.
    features
        Whether the values of the project's own features are looked at too; it costs most of the
        time.
    features_csv
        Somebody's own table of features, with a column ``id``.
    """
    splits = {name: pack.split(name) for name in pack.samples}
    tables = [rows.table for rows in splits.values()]
    own = [] if features_csv is None else _own_features(features_csv, tables)  # may be refused
    with counter("audit images") as progress:
        planes = planes_of(pack, processes=processes, progress=progress)
    findings = [*_between(planes, split, why_no_split), *own]
    for name, seen in planes.items():
        place = f"{name}_split"
        findings += [
            images_in_two_regions(seen, place=place),
            uniform_images(seen, place=place),
            nowcasts(seen.table, place=place),
            duplicate_samples(seen.table, place=place),
        ]
    findings.append(masked_uniform_images(pack, place="dataset"))
    findings.append(contradicting_labels(tables, place="dataset"))
    findings.append(feature_names(FEATURE_NAMES, place="project"))
    if "training" in splits:
        findings.append(timestamps_tell_label(splits["training"].table, place="training_split"))
    if features:
        findings.append(_project_features(next(iter(splits.values()))))
    order = list(CHECKS)
    findings.sort(key=lambda finding: order.index(finding.check))
    return AuditReport(
        dataset=pack.name,
        synthetic=pack.synthetic,
        fingerprint=pack.fingerprint,
        split_fingerprint=split.fingerprint if split is not None else "",
        findings=tuple(findings),
    )


def _division(pack: Pack, *, share: float, seed: int) -> tuple[Split | None, str]:
    """Return the division that training makes, or why there is none."""
    if "training" not in pack.samples:
        return None, "there is no training split"
    try:
        table = pack.split("training").table
        return split_by_region(table, validation_share=share, seed=seed), ""
    except DatasetInvalid as error:
        return None, str(error)


def _between(planes: dict[str, Planes], split: Split | None, why: str) -> list[AuditFinding]:
    """Look at training and test, and at training and validation."""
    findings = []
    sides: dict[str, tuple[Planes, Planes]] = {}
    if {"training", "test"} <= set(planes):
        sides["test"] = planes["training"], planes["test"]
    else:
        missing = next(name for name in ("training", "test") if name not in planes)
        findings += [skipped(one, "test", f"there is no {missing} split") for one in BETWEEN_SIDES]
    if split is not None:
        whole = planes["training"]
        sides["validation"] = whole.take(split.train), whole.take(split.validation)
    else:
        findings += [skipped(check, "validation", why) for check in BETWEEN_SIDES]
    for place, (left, right) in sides.items():
        findings += audit_sides(Sides(place, left.table, right.table))
        findings.append(identical_images(left, right, place=place))
    return findings


def _project_features(rows: PackedSplit) -> AuditFinding:
    """Compute features of samples spread over a split, and look at their order."""
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


def _write(folder: Path, report: AuditReport) -> None:
    text = json.dumps(report.as_dict(), indent=1, allow_nan=False)
    (folder / "audit.json").write_text(text, encoding="utf-8")
    (folder / "audit.md").write_text(report.markdown(), encoding="utf-8")


def _log(tracked: Run, folder: Path, report: AuditReport) -> None:
    for path in sorted(folder.iterdir()):
        tracked.log_file(path)
    tracked.log_metrics(report.metrics())
    tags = {AUDIT_TAG: report.verdict}
    if report.split_fingerprint:
        tags[SPLIT_TAG] = report.split_fingerprint
    tracked.set_tags(tags)
    tracked.describe(report.markdown())
