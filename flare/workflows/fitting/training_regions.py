"""On which active regions of a training split a model was fitted, and which it held out."""

from flare.datasets.pack.reader import Pack
from flare.tracking.registry import version_tags
from flare.tracking.tags import FINGERPRINT_TAG
from flare.workflows.evaluation.validation_forecasts import read_validation_forecasts
from flare.workflows.prediction.resolve_model import Resolved


def held_out_regions(model: Resolved, pack: Pack) -> frozenset[int]:
    """Return the validation regions of a registered version, NOAA numbers.

    None of them for a version of other data, and for a model without a registered version or with
    no validation forecasts: which regions it held out is then unknown, or means nothing here.
    """
    if (
        model.version is None
        or version_tags(model.version).get(FINGERPRINT_TAG) != pack.fingerprint
    ):
        return frozenset()
    found = read_validation_forecasts(model.version)
    return frozenset() if found is None else frozenset(found.observations.active_region.tolist())


def fitted_regions(model: Resolved, pack: Pack) -> int:
    """Return on how many active regions a model was fitted.

    Where the validation regions are unknown they are counted among them.
    """
    regions = set(model.forecaster.origin.active_regions)
    return len(regions - held_out_regions(model, pack))
