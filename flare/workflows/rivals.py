"""What every model is scored beside: the forest and climatology, on the same training split."""

import logging

import numpy as np

from flare.config import BaselineConfig
from flare.datasets.packed import Pack
from flare.datasets.splits import region_groups, split_by_region
from flare.forecasters.base import Forecaster, ForecasterSpec
from flare.forecasters.climatology import fit_climatology
from flare.tracking.names import FINGERPRINT_TAG
from flare.tracking.registry import RegisteredVersion, version_tags, versions
from flare.workflows.baseline import fit_and_forecast, forest_settings
from flare.workflows.data import TrainingData, origin_of
from flare.workflows.models import of_version
from flare.workflows.scoring import tuned_and_scored

log = logging.getLogger("flare")


def climatology_of(pack: Pack, *, image_size: int) -> Forecaster:
    """Fit climatology on the whole training split of a pack."""
    rows = pack.split("training")
    return fit_climatology(
        rows.table["peak_flux"].to_numpy(dtype=np.float64),
        spec=ForecasterSpec(image_size=image_size),
        origin=origin_of(pack, rows),
    )


def forest_of(
    pack: Pack, *, image_size: int, model_name: str, beside: RegisteredVersion | None
) -> tuple[str, Forecaster] | None:
    """Return the newest registered forest of the same data, or fit one with the default settings.

    None where the model that it would stand beside is that forest.
    """
    for version in versions(model_name):
        if version.kind != "forest" or version_tags(version).get(FINGERPRINT_TAG) != (
            pack.fingerprint
        ):
            continue
        if beside is not None and version.version == beside.version:
            return None
        found = of_version(version)
        if image_size % found.forecaster.spec.image_size == 0:
            return found.label, found.forecaster
    log.info("no forest of this data is registered: fitting one with the default settings")
    config = BaselineConfig()
    rows = pack.split("training")
    split = split_by_region(
        rows.table, validation_share=config.validation_share, seed=config.split_seed
    )
    data = TrainingData(pack, rows, split)
    enough = len(region_groups(rows.table.iloc[split.train])) >= config.folds
    fitted, unseen = fit_and_forecast(
        data,
        forest_settings(config),
        seed=config.seed,
        folds=config.folds if enough else 0,
        split_seed=config.split_seed,
    )
    ready, _ = tuned_and_scored(fitted, data, unseen, resamples=100)
    return "forest (fitted here)", ready
