"""Load training data: make the synthetic set if it is missing, pack it, split it by region."""

import json
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.config import SynthesizeConfig
from flare.config.groups import SYNTHETIC_DIR, PackOptions, SplitConfig
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.sdobenchmark.fingerprint import short
from flare.datasets.sdobenchmark.labels import dataset_identity
from flare.datasets.splits import Split, split_by_region
from flare.datasets.synthetic import SyntheticSummary, synthesize
from flare.errors import ConfigInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.forecasters.base import Origin
from flare.plots.style import mark_synthetic
from flare.progress import bar, counter
from flare.sample import PlaneSums, plane_sums
from flare.tracking.run import Run, log_data
from flare.tracking.tags import PACK_TAG
from flare.training.batches import in_pieces, read_ahead

log = logging.getLogger("flare")

_SUMMED = 8  # samples read at once for their sums: in float32 84 MB at 256 pixels
_FEATURES = 32  # samples read at once for their features: 84 MB at 256 pixels


@dataclass(frozen=True)
class TrainingData:
    """The training split of a pack, divided into training and validation rows."""

    pack: Pack
    rows: PackedSplit
    split: Split

    @cached_property
    def peak_flux(self) -> NDArray[np.float64]:
        """Labels of all rows, in W m^-2."""
        return self.rows.table["peak_flux"].to_numpy(dtype=np.float64)

    @cached_property
    def active_regions(self) -> NDArray[np.int64]:
        """NOAA numbers of all rows."""
        return self.rows.table["active_region"].to_numpy(dtype=np.int64)

    @cached_property
    def plane_sums(self) -> PlaneSums:
        """Sums of all rows' images, (N, T, C, 2), from the pack.

        A pack without sums is read once, for all networks that are trained on its rows.
        """
        if self.rows.sums is not None:
            return self.rows.sums
        pieces = in_pieces(np.arange(len(self.rows)), _SUMMED)
        with closing(read_ahead(self.rows.cubes, pieces)) as reading:
            return np.concatenate([plane_sums(cubes.numpy()) for cubes in reading])

    @property
    def origin(self) -> Origin:
        """The data that a forecaster was fitted, postprocessed or chosen on."""
        used = np.concatenate([self.split.train, self.split.validation])
        return Origin(
            self.pack.fingerprint,
            self.pack.name,
            self.pack.synthetic,
            tuple(sorted(set(self.active_regions[used].tolist()))),
            len(used),
            synthetic_seed=self.pack.synthetic_seed,
        )


def open_packed(options: PackOptions, image_size: int) -> Pack:
    """Return the pack of a dataset; a missing or damaged one is made."""
    ensure_synthetic(options.data_dir)
    with counter("pack") as progress:
        pack = ensure_pack(
            options.data_dir,
            options.pack_dir or options.data_dir / f"packed-{image_size}",
            image_size=image_size,
            processes=options.processes or None,
            progress=progress,
        )
    if pack.rejected_counts:
        counts = ", ".join(f"{n} {why}" for why, n in sorted(pack.rejected_counts.items()))
        report = pack.folder / "rejected.csv"
        log.info("images masked as missing: %s (listed in %s)", counts, report)
    return pack


def training_data(config: SplitConfig, tracked: Run) -> TrainingData:
    """Open the training split, divide its active regions, and log both parts to a run."""
    data = training_rows(config)
    log.info(
        "%s data: %s",
        "SYNTHETIC" if data.pack.synthetic else data.pack.name,
        " and ".join(
            f"{len(some)} {part} samples of {len(set(data.active_regions[some].tolist()))} regions"
            for part, some in (
                ("training", data.split.train),
                ("validation", data.split.validation),
            )
        ),
    )
    for part in ("training", "validation"):
        log_part(tracked, data, config.data_dir, part)
    return data


def training_rows(config: SplitConfig) -> TrainingData:
    """Open the training split and divide its active regions."""
    pack = open_packed(config, config.image_size)
    rows = pack.split("training")
    split = split_by_region(
        rows.table, validation_share=config.validation_share, seed=config.split_seed
    )
    return TrainingData(pack, rows, split)


def mark_if_synthetic(figure: Figure, pack: Pack) -> Figure:
    """Mark a figure whose data are synthetic."""
    return mark_synthetic(figure) if pack.synthetic else figure


def log_pack(
    run: Run,
    pack: Pack,
    data_dir: Path,
    *,
    context: str,
    profile: Mapping[str, int | str],
    part: str = "",
) -> None:
    """Log a pack as a dataset input of a run, with the fingerprints of dataset and pack.

    ``part`` names the split, empty for the whole.
    """
    log_data(
        run,
        name=pack.name,
        fingerprint=pack.fingerprint,
        source=str(data_dir),
        synthetic=pack.synthetic,
        context=context,
        profile={
            **profile,
            "image_size": pack.image_size,
            "pack_fingerprint": short(pack.pack_fingerprint),
        },
        part=part,
        image_size=pack.image_size,
        tags={PACK_TAG: pack.pack_fingerprint},
    )


def log_split(run: Run, pack: Pack, rows: PackedSplit, data_dir: Path, *, context: str) -> None:
    """Log a whole split as a dataset input; ``content`` identifies its labels and images."""
    profile: dict[str, int | str] = {
        "split": rows.name,
        "samples": len(rows),
        "active_regions": int(rows.table["active_region"].nunique()),
        "content": short(pack.contents[rows.name]),
    }
    log_pack(run, pack, data_dir, context=context, profile=profile, part=rows.name)


def log_reference_data(run: Run, data: TrainingData, data_dir: Path) -> None:
    """Log the training rows that reference forecasts are fitted on as a dataset input."""
    profile: dict[str, int | str] = {
        "split": data.rows.name,
        "samples": len(data.split.train),
        "active_regions": len(data.origin.active_regions),
    }
    log_pack(run, data.pack, data_dir, context="references", profile=profile, part="training")


def log_part(run: Run, data: TrainingData, data_dir: Path, part: str) -> None:
    """Log the training or the validation rows as a dataset input."""
    rows = data.split.train if part == "training" else data.split.validation
    profile: dict[str, int | str] = {
        "samples": len(rows),
        "active_regions": len(set(data.active_regions[rows].tolist())),
        "split_fingerprint": data.split.fingerprint,
    }
    log_pack(run, data.pack, data_dir, context=part, profile=profile, part=part)


def features_of(
    packed: PackedSplit, title: str, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Compute the features of some rows of a split, by default all, in pieces: (n, F)."""
    chosen = np.arange(len(packed)) if rows is None else rows
    features = np.empty((len(chosen), len(FEATURE_NAMES)))
    for first in bar(title, unit="pieces")(range(0, len(chosen), _FEATURES)):
        piece = slice(first, first + _FEATURES)
        some = chosen[piece]
        features[piece] = compute_features(packed.cubes[some], packed.present[some])
    return features


def split_sizes(config: SynthesizeConfig) -> dict[str, int]:
    """Return the number of samples of each split."""
    n_test = max(round(config.samples * config.test_share), 1)
    return {"n_training": config.samples - n_test, "n_test": n_test}


def make_synthetic(config: SynthesizeConfig) -> SyntheticSummary:
    """Make the synthetic dataset that a config describes."""
    with counter("synthesize", unit="regions") as progress:
        return synthesize(
            config.data_dir,
            **split_sizes(config),
            seed=config.data_seed,
            difficulty=config.difficulty,
            test=config.test,
            processes=config.processes or None,
            progress=progress,
        )


def ensure_synthetic(data_dir: Path, config: SynthesizeConfig | None = None) -> None:
    """Make the default synthetic dataset if ``data_dir`` is its folder and is missing.

    Raises ConfigInvalid: it was made with other parameters than those of ``config``.
    """
    if data_dir != SYNTHETIC_DIR:
        return
    if data_dir.exists():
        if config is not None:
            _check_made_as(data_dir, config)
        return
    config = config or SynthesizeConfig()
    log.info("%s is missing: making synthetic regions (seed %d)", data_dir, config.data_seed)
    make_synthetic(config)


def _check_made_as(data_dir: Path, config: SynthesizeConfig) -> None:
    dataset_identity(data_dir)  # raises if dataset.json is damaged
    path = data_dir / "dataset.json"
    made = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if made:
        made.setdefault("test", "selected")  # the only one before it was an option
    wanted = {
        **split_sizes(config),
        "seed": config.data_seed,
        "difficulty": config.difficulty,
        "test": config.test,
    }
    parameters = {"n_training": "samples", "n_test": "samples", "seed": "data_seed"}
    for key, value in wanted.items():
        if key in made and made[key] != value:
            raise ConfigInvalid(
                f"{parameters.get(key, key)}: {data_dir} was made with {key}={made[key]}, not "
                f"{value}; delete that folder to make it again, or leave the parameter out"
            )
