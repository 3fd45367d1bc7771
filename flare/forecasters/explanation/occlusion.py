"""Explain one forecast of any forecaster by occlusion: hide a part, and forecast again.

A hidden image, channel or time step counts as missing. A hidden place fades, in each image, into
the median grey level of that image, with soft edges: sharp ones are structure that no image of the
Sun has, and networks answer them. What hiding a part takes from the probability is the part's
contribution; contributions of parts that say the same are small and do not add up. Source: Zeiler
and Fergus 2014, doi:10.1007/978-3-319-10590-1_53.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from flare.errors import ConfigInvalid, InputInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.forecasters.base import FeatureForecaster, Forecaster
from flare.goes import HEADLINE_EVENT
from flare.sample import (
    CHANNELS,
    N_CHANNELS,
    N_PLANES,
    N_STEPS,
    STEP_NAMES,
    Cube,
    Present,
    reduce_cubes,
)

_Floats = NDArray[np.float64]

#: Places on an edge of the image, by default: 38 arcsec each.
GRID = 8
GRIDS = (1, 2, 4, 8, 16)

#: Standard deviation of the blur of a hidden place's edges, as a share of the image: 14 arcsec.
EDGE = 3 / 64

#: Shares below it change no grey level by a half.
_INVISIBLE = 1 / 512

#: Occluded samples that are forecast at once.
BATCH = 8


@dataclass(frozen=True)
class Explanation:
    """Contributions to the probability of ``event``, in probability points (percent).

    ``probability`` is that of the whole sample, 0..1. ``images`` (T, C), ``channels`` (C,) and
    ``steps`` (T,) are NaN where there is nothing to hide. ``places`` (G, G) are rows from the top.
    ``features`` are those of a forecaster of features by name, the strongest first.
    """

    event: str
    probability: float
    images: _Floats
    channels: _Floats
    steps: _Floats
    places: _Floats
    features: dict[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Return it as JSON values with their names and units; NaN becomes None."""
        return {
            "method": "occlusion",
            "event": self.event,
            "probability": self.probability,
            "unit": "probability points (percent): probability minus that without the part",
            "channel_names": list(CHANNELS),
            "step_names": list(STEP_NAMES),
            "images": numbers(self.images),
            "channels": numbers(self.channels),
            "steps": numbers(self.steps),
            "places": numbers(self.places),
            "features": self.features,
        }


def numbers(values: _Floats) -> list[Any]:
    """Return an array as lists, with None for NaN."""
    known = values.astype(object)
    known[np.isnan(values)] = None
    return list(known.tolist())


@dataclass(frozen=True)
class Occlusion:
    """A sample and all the ways to hide a part of it.

    ``cube`` is uint8 (T, C, S, S), ``present`` bool (T, C), ``grid`` the number G of places on an
    edge. Variants are: nothing hidden, the T * C images, the C channels, the T steps, and the
    G * G places.
    """

    cube: Cube
    present: Present
    grid: int = GRID

    def __post_init__(self) -> None:
        """Refuse a grid that does not divide the images."""
        if self.grid not in GRIDS or self.cube.shape[-1] % self.grid:
            raise ConfigInvalid(
                f"grid is {self.grid}; choose one of {', '.join(map(str, GRIDS))} that divides "
                f"the {self.cube.shape[-1]} pixels of an image"
            )

    def __len__(self) -> int:
        return 1 + N_PLANES + N_CHANNELS + N_STEPS + self.grid**2

    def batches(self, size: int = BATCH) -> Iterator[tuple[Cube, Present]]:
        """Yield all variants, up to ``size`` at once: cubes (n, T, C, S, S), masks (n, T, C)."""
        hidden, quiet, profiles = self._hidden(), self.quiet, self._profiles()
        first_place = len(self) - self.grid**2
        for start in range(0, len(self), size):
            rows = range(start, min(start + size, len(self)))
            present = self.present & ~hidden[rows]
            cubes = np.where(present[..., None, None], self.cube, np.uint8(0))
            for cube, row in zip(cubes, rows, strict=True):
                if row >= first_place:
                    down, across = divmod(row - first_place, self.grid)
                    _hide(cube, profiles[down], profiles[across], quiet)
            yield cubes, present

    def explanation(self, probability: _Floats, event: str) -> Explanation:
        """Return the contributions from the probabilities of all variants, in their order."""
        points = 100 * (probability[0] - probability[1:])
        ends = np.cumsum([N_PLANES, N_CHANNELS, N_STEPS])
        images, channels, steps, places = np.split(points, ends)
        return Explanation(
            event,
            float(probability[0]),
            np.where(self.present, images.reshape(self.present.shape), np.nan),
            np.where(self.present.any(axis=0), channels, np.nan),
            np.where(self.present.any(axis=1), steps, np.nan),
            places.reshape(self.grid, self.grid),
        )

    def _hidden(self) -> Present:
        """Return which images each variant hides, (variants, T, C)."""
        hidden = np.zeros((len(self), N_STEPS, N_CHANNELS), dtype=np.bool_)
        for image in range(N_PLANES):
            hidden[1 + image].flat[image] = True
        for channel in range(N_CHANNELS):
            hidden[1 + N_PLANES + channel, :, channel] = True
        for step in range(N_STEPS):
            hidden[1 + N_PLANES + N_CHANNELS + step, step] = True
        return hidden

    @property
    def quiet(self) -> Cube:
        """What hides a place: the median of each image, uint8 (T, C, 1, 1)."""
        middle = np.median(self.cube, axis=(2, 3), keepdims=True)
        return np.asarray(middle, dtype=np.uint8)

    def _profiles(self) -> _Floats:
        """Return how far each row of places hides each row of pixels, 0 to 1: (G, S)."""
        size = self.cube.shape[-1]
        inside = np.eye(self.grid).repeat(size // self.grid, axis=1)
        soft = gaussian_filter1d(inside, EDGE * size, axis=1, mode="nearest")
        return np.asarray(soft / soft.max(axis=1, keepdims=True))


def _hide(cube: Cube, down: _Floats, across: _Floats, quiet: Cube) -> None:
    """Fade a place of a cube (T, C, S, S) into grey levels (T, C, 1, 1), where it shows."""
    rows, columns = (np.flatnonzero(one > _INVISIBLE) for one in (down, across))
    window = (..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    share = np.outer(down[window[1]], across[window[2]])
    there = cube[window].astype(np.float32)
    cube[window] = np.rint(there + share.astype(np.float32) * (quiet - there))


def occlude(
    forecaster: Forecaster,
    cube: Cube,
    present: Present,
    *,
    event: str = HEADLINE_EVENT,
    grid: int = GRID,
) -> Explanation:
    """Explain the forecast of one sample: cube (T, C, S, S), present (T, C).

    Raises ConfigInvalid: the event is not forecast, or the grid does not divide the images;
    InputInvalid: no image is present.
    """
    occlusion = prepare(forecaster, cube, present, event=event, grid=grid)
    probability = [
        forecaster.predict(*batch).probability_of(event) for batch in occlusion.batches()
    ]
    explanation = occlusion.explanation(np.concatenate(probability), event)
    return with_features(explanation, forecaster, occlusion)


def prepare(
    forecaster: Forecaster, cube: Cube, present: Present, *, event: str, grid: int = GRID
) -> Occlusion:
    """Return the variants of a sample at the forecaster's own image size; see ``occlude``."""
    if event not in forecaster.spec.events:
        raise ConfigInvalid(
            f"event is {event!r}; the model forecasts {', '.join(forecaster.spec.events)}"
        )
    if not present.any():
        raise InputInvalid("no image is present, so there is nothing to explain")
    return Occlusion(reduce_cubes(cube, forecaster.spec.image_size), present, grid)


def with_features(
    explanation: Explanation, forecaster: Forecaster, occlusion: Occlusion
) -> Explanation:
    """Add, for a forecaster of features, what the probability loses where one is missing."""
    if not isinstance(forecaster, FeatureForecaster):
        return explanation
    features = compute_features(occlusion.cube[None], occlusion.present[None])
    variants = features.repeat(len(FEATURE_NAMES) + 1, axis=0)
    np.fill_diagonal(variants[1:], np.nan)
    probability = forecaster.predict_features(variants).probability_of(explanation.event)
    points = 100 * (probability[0] - probability[1:])
    order = np.argsort(-np.abs(points), kind="stable")
    return replace(
        explanation,
        features={FEATURE_NAMES[k]: float(points[k]) for k in order if points[k] != 0},
    )
