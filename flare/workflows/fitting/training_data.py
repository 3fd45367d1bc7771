"""From a data folder to arrays: make the synthetic set if asked for, pack, split by region."""

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.config.groups import SplitConfig
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.sdobenchmark.fingerprint import short
from flare.datasets.splits import Split, split_by_region
from flare.forecasters.base import Origin
from flare.plots.style import mark_synthetic
from flare.progress import counter
from flare.sample import PlaneSums, plane_sums
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run
from flare.tracking.tags import PACK_TAG
from flare.training.reader import in_pieces, read_ahead
from flare.workflows.fitting.synthetic_data import make_default

log = logging.getLogger("flare")

_PIECE = 8  # samples that are read at once: in float32 84 MB at 256 pixels


@dataclass(frozen=True)
class TrainingData:
    """The training split of a pack, with the rows to learn from and those to choose by."""

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
        """Sums of all rows' images, (N, T, C, 2); measured where the pack has none.

        The images of an old pack are read once, for all networks that are trained on parts of them.
        """
        if self.rows.sums is not None:
            return self.rows.sums
        pieces = in_pieces(np.arange(len(self.rows)), _PIECE)
        with closing(read_ahead(self.rows.cubes, pieces)) as reading:
            return np.concatenate([plane_sums(cubes.numpy()) for cubes in reading])

    @property
    def origin(self) -> Origin:
        """What a forecaster that was fitted on these parts, or tuned or chosen by one, has seen."""
        used = np.concatenate([self.split.train, self.split.validation])
        return Origin(
            self.pack.fingerprint,
            self.pack.name,
            self.pack.synthetic,
            tuple(sorted(set(self.active_regions[used].tolist()))),
            len(used),
            synthetic_seed=self.pack.synthetic_seed,
        )


def open_packed(
    data_dir: Path,
    pack_dir: Path | None,
    *,
    image_size: int,
    processes: int,
) -> Pack:
    """Return the pack of a dataset, made or made again if need be."""
    make_default(data_dir)
    with counter("pack") as progress:
        pack = ensure_pack(
            data_dir,
            pack_dir or data_dir / f"packed-{image_size}",
            image_size=image_size,
            processes=processes or None,
            progress=progress,
        )
    if pack.rejected_counts:
        counts = ", ".join(f"{n} {why}" for why, n in sorted(pack.rejected_counts.items()))
        report = pack.folder / "rejected.csv"
        log.info("images masked as missing: %s (listed in %s)", counts, report)
    return pack


def training_data(config: SplitConfig, tracked: Run) -> TrainingData:
    """Open the training split, divide its active regions, and attach both parts to a run."""
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
    _log_parts(tracked, data, config.data_dir)
    return data


def training_rows(config: SplitConfig) -> TrainingData:
    """Open the training split, made if need be, and divide its active regions."""
    pack = open_packed(
        config.data_dir,
        config.pack_dir,
        image_size=config.image_size,
        processes=config.processes,
    )
    rows = pack.split("training")
    split = split_by_region(
        rows.table, validation_share=config.validation_share, seed=config.split_seed
    )
    return TrainingData(pack, rows, split)


def marked(figure: Figure, pack: Pack) -> Figure:
    """Say on a figure that its data are synthetic, if they are."""
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
    """Attach what was used of a pack to a run, with the fingerprints of dataset and pack.

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
    )
    run.set_tags({PACK_TAG: pack.pack_fingerprint})


def log_split(run: Run, pack: Pack, rows: PackedSplit, data_dir: Path, *, context: str) -> None:
    """Attach a whole split to a run; ``content`` in its profile is of its labels and images."""
    profile: dict[str, int | str] = {
        "split": rows.name,
        "samples": len(rows),
        "active_regions": int(rows.table["active_region"].nunique()),
        "content": short(pack.contents[rows.name]),
    }
    log_pack(run, pack, data_dir, context=context, profile=profile, part=rows.name)


def log_reference_data(run: Run, data: TrainingData, data_dir: Path) -> None:
    """Attach the training rows that reference forecasts are fitted on to a run."""
    profile: dict[str, int | str] = {
        "split": data.rows.name,
        "samples": len(data.split.train),
        "active_regions": len(data.origin.active_regions),
    }
    log_pack(run, data.pack, data_dir, context="rivals", profile=profile, part="training")


def _log_parts(run: Run, data: TrainingData, data_dir: Path) -> None:
    parts = {"training": data.split.train, "validation": data.split.validation}
    for context, rows in parts.items():
        profile: dict[str, int | str] = {
            "samples": len(rows),
            "active_regions": len(set(data.active_regions[rows].tolist())),
            "split_fingerprint": data.split.fingerprint,
        }
        log_pack(run, data.pack, data_dir, context=context, profile=profile, part=context)
