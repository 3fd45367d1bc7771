"""The base of every model in production: an object that forecasts from cubes, saved in a folder.

Normalisation, calibration, thresholds and the interval travel with the forecaster; nothing outside
it changes a number.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.features.table import compute_features
from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import INTERVAL_LEVEL, PostProcessing
from flare.forecasters.training_inputs import TrainingInputs
from flare.goes import EVENTS
from flare.sample import (
    CHANNELS,
    FORECAST_WINDOW_HOURS,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
    reduce_cubes,
)

#: What computes a forecast: ONNX Runtime or PyTorch for networks, NumPy for all else.
ONNX_RUNTIME, TORCH, NUMPY = "onnxruntime", "torch", "numpy"


@dataclass(frozen=True)
class ForecasterSpec:
    """The input and the output of a forecaster.

    ``image_size`` is the edge of its images in pixels: larger images whose edge is a multiple of it
    are averaged down first. ``interval_level`` is the share of cases that the flux interval is
    meant to hold.
    """

    image_size: int
    channels: tuple[str, ...] = CHANNELS
    step_offsets_minutes: tuple[int, ...] = STEP_OFFSETS_MINUTES
    events: tuple[str, ...] = EVENTS
    window_hours: int = FORECAST_WINDOW_HOURS
    interval_level: float = INTERVAL_LEVEL


@dataclass(frozen=True)
class Regions:
    """Active regions of a dataset.

    ``seed`` is that of synthetic regions, None for real ones or an unknown seed; ``fingerprint`` is
    that of the dataset, None where it is unknown.
    """

    numbers: frozenset[int]
    synthetic: bool
    seed: int | None
    fingerprint: str | None = None


@dataclass(frozen=True)
class Origin:
    """The data that a forecaster was made from; it must not be scored on these regions.

    ``active_regions`` are the NOAA numbers of all regions that it or its postprocessing was fitted
    on; ``synthetic_seed`` is the seed of synthetic regions, None for real data or an unknown seed.
    """

    data_fingerprint: str
    data_name: str
    synthetic: bool
    active_regions: tuple[int, ...]
    n_samples: int
    synthetic_seed: int | None = None

    def shared(self, regions: Regions) -> tuple[int, ...]:
        """Return the regions that a forecaster was fitted, postprocessed or validated on.

        A NOAA number is the same region in every real dataset. A synthetic region is identified by
        its number and the seed of its dataset: sets of one seed share regions whatever their sizes,
        sets of different seeds share none. Where a seed is unknown, equal numbers count as the same
        region: a false alarm can be overruled, an unnoticed leak cannot.
        """
        same_data = self.data_fingerprint == regions.fingerprint  # whatever its description says
        seeds_differ = None not in (self.synthetic_seed, regions.seed) and (
            self.synthetic_seed != regions.seed
        )
        different = self.synthetic != regions.synthetic or (self.synthetic and seeds_differ)
        if different and not same_data:
            return ()
        return tuple(sorted(regions.numbers.intersection(self.active_regions)))


@dataclass(frozen=True, kw_only=True)
class Forecaster(ABC):
    """Forecasts from cubes; saved in and loaded from a folder by ``storage``.

    ``kind`` is the name of the class in the folder's description: ``forest``, ``neural``, ...
    ``training_inputs`` is None where nothing is recorded of them, as in older folders.
    """

    kind: ClassVar[str]
    spec: ForecasterSpec
    origin: Origin
    postprocessing: PostProcessing = field(default_factory=PostProcessing)
    training_inputs: TrainingInputs | None = None

    @abstractmethod
    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Forecast N samples.

        Parameters
        ----------
        cubes
            uint8 (N, T, C, S, S) with S a multiple of ``spec.image_size``.
        present
            bool (N, T, C); a plane that is False is ignored.
        """

    @abstractmethod
    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write weights into the folder; return what else is needed, as JSON values."""

    @classmethod
    @abstractmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the subclass by name, from the folder and ``save_parts``' values."""

    def with_postprocessing(self, postprocessing: PostProcessing) -> Self:
        """Return the same model with other calibrations, thresholds and interval."""
        return replace(self, postprocessing=postprocessing)

    @property
    def engine(self) -> str:
        """What computes: ``onnxruntime``, ``torch`` or ``numpy``; several with commas."""
        return NUMPY

    @property
    def device(self) -> str:
        """Where it computes: ``cuda`` if a network is there, else ``cpu``."""
        return "cpu"

    def exported(self) -> Self:
        """Return it with its networks exported to ONNX, those that can be; takes seconds each."""
        return self

    def with_threads(self, threads: int) -> Self:
        """Return it with this number of threads a call in its exported networks.

        With one, calls from several threads run in parallel, one a core. PyTorch's number is that
        of the whole process (``limit_torch``) and stays.
        """
        del threads
        return self


@dataclass(frozen=True, kw_only=True)
class FeatureForecaster(Forecaster):
    """A forecaster that looks at the features of the images alone."""

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Compute the features of N samples, and forecast from them."""
        check_cubes(cubes, present)
        reduced = reduce_cubes(cubes, self.spec.image_size)
        return self.predict_features(compute_features(reduced, present))

    def predict_features(self, features: NDArray[np.float64]) -> Forecast:
        """Forecast from features (N, F) in the order of ``FEATURE_NAMES``, NaN where missing."""
        if len(features):
            log10_flux, probability = self.outputs(features)
        else:  # scikit-learn takes no empty table
            log10_flux, probability = np.empty(0), np.empty((0, len(self.spec.events)))
        return self.postprocessing.apply(log10_flux, probability, self.spec.events)

    @abstractmethod
    def outputs(
        self, features: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return log10 flux, (N,), and event probabilities, (N, E), before postprocessing."""


def limit_torch(threads: int) -> None:
    """Limit PyTorch to this number of threads a call, in the whole process."""
    import torch  # a forest is served without it

    torch.set_num_threads(threads)


def check_cubes(cubes: Cube, present: Present) -> None:
    """Raise InputInvalid unless cubes and present fit together and are of the right types."""
    if cubes.ndim != 5 or cubes.shape[1:3] != (N_STEPS, N_CHANNELS):
        raise InputInvalid(
            f"cubes have shape {tuple(cubes.shape)}; wanted (N, {N_STEPS}, {N_CHANNELS}, S, S)"
        )
    if cubes.dtype != np.uint8:
        raise InputInvalid(f"cubes are {cubes.dtype}; wanted uint8 grey levels 0..255")
    if present.shape != cubes.shape[:3] or present.dtype != np.bool_:
        raise InputInvalid(
            f"the present mask is {present.dtype} {tuple(present.shape)}; "
            f"wanted bool {tuple(cubes.shape[:3])}"
        )
