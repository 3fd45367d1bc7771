"""What a forecaster's training inputs and forecasts were like, and what another input lacks.

The brightness of an image is its mean grey level, its contrast the standard deviation of its grey
levels, both at the size of the forecaster's images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from flare.sample import (
    CHANNELS,
    N_PLANES,
    N_STEPS,
    STEP_NAMES,
    Cube,
    PlaneSums,
    Present,
    channel_title,
    plane_sums,
    reduce_cubes,
)

Floats = NDArray[np.float64]
Status = Literal["normal", "degraded", "abstain"]
NORMAL: Status = "normal"
DEGRADED: Status = "degraded"
ABSTAIN: Status = "abstain"

#: Shares of the quantiles that stand for a distribution.
SHARES = np.linspace(0, 1, 101)

#: The range of an image's brightness or contrast is that of the central 98 % of the training
#: images, wider by a quarter of its length on both sides (3 grey levels at least). Of a normal
#: distribution that is 3.5 standard deviations: one image in 2000 is outside. Of 445 real images
#: of 211 Angstrom of later years none was, and half of them were at half their brightness.
_CENTRAL = (0.01, 0.99)
_WIDER, _WIDER_AT_LEAST = 0.25, 3.0

#: A forecaster abstains with fewer images that can be used: a quarter of a sample, the images of
#: one time. Where 1 % of its training samples had fewer still, that number counts.
FEWEST_IMAGES = 10
_RARE = 0.01

_NAMED = 4  # images that a reason names


@dataclass(frozen=True)
class TrainingInputs:
    """The training inputs of a forecaster, and its forecasts of samples it was not fitted on.

    ``brightness`` has by channel the quantiles at ``SHARES`` of the mean brightness of a sample's
    images; empty for a channel without images. ``ranges`` are by channel the lowest and highest
    brightness and contrast of an image that counts as usual. ``missing`` is the share of samples
    that lack an image, (T, C). ``probabilities`` are quantiles by event. ``fewest_images`` is how
    many images a sample needs.
    """

    n_samples: int
    brightness: Mapping[str, tuple[float, ...]]
    ranges: Mapping[str, tuple[float, ...]]
    missing: tuple[tuple[float, ...], ...]
    fewest_images: int
    n_forecasts: int
    probabilities: Mapping[str, tuple[float, ...]]

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return that of JSON values; raise KeyError, TypeError or ValueError if damaged."""
        tables = {
            name: {key: tuple(map(float, numbers)) for key, numbers in values[name].items()}
            for name in ("brightness", "ranges", "probabilities")
        }
        missing = tuple(tuple(map(float, row)) for row in values["missing"])
        return cls(**{**values, **tables, "missing": missing})


@dataclass(frozen=True)
class InputCheck:
    """Whether a forecast from an input can be used, why not, and the brightness by channel.

    ``out_of_range`` has step and channel of images. ``brightness`` is None without an image.
    """

    status: Status
    reasons: tuple[str, ...]
    out_of_range: tuple[tuple[int, str], ...]
    brightness: dict[str, float | None]

    def fields(self, present: Present) -> dict[str, Any]:
        """Return what an answer says of its input; ``present`` is (T, C)."""
        return {
            "status": self.status,
            "reasons": list(self.reasons),
            "out_of_range": _image_fields(self.out_of_range),
            "brightness": self.brightness,
            "missing_images": int(np.count_nonzero(~present)),
            "missing": _image_fields((int(step), CHANNELS[k]) for step, k in np.argwhere(~present)),
        }


def _image_fields(images: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    return [{"step": step, "channel": channel} for step, channel in images]


def fit_training_inputs(
    sums: PlaneSums, present: Present, probabilities: Mapping[str, Floats], *, size: int
) -> TrainingInputs:
    """Describe training samples by the sums of their images.

    ``sums`` is (N, T, C, 2) of images with ``size`` pixels an edge, ``present`` (N, T, C);
    ``probabilities`` are forecasts by event.
    """
    measures = _measures(sums, present, size)
    by_channel = _mean_over_steps(measures[..., 0])
    brightness, ranges = {}, {}
    for k, channel in enumerate(CHANNELS):
        there = by_channel[np.isfinite(by_channel[:, k]), k]
        brightness[channel] = _quantiles(there, SHARES)
        images = measures[:, :, k][present[:, :, k]]  # (n, 2)
        ranges[channel] = (*_range(images[:, 0]), *_range(images[:, 1])) if len(images) else ()
    counts = present.sum(axis=(1, 2))
    rare = int(np.quantile(counts, _RARE, method="inverted_cdf"))
    return TrainingInputs(
        n_samples=len(present),
        brightness=brightness,
        ranges=ranges,
        missing=tuple(map(tuple, np.round(1 - present.mean(axis=0), 4).tolist())),
        fewest_images=int(np.clip(rare, 1, FEWEST_IMAGES)),
        n_forecasts=len(next(iter(probabilities.values()), ())),
        probabilities={event: _quantiles(p, SHARES) for event, p in probabilities.items()},
    )


def _measures(sums: PlaneSums, present: Present, size: int) -> Floats:
    """Return brightness and contrast of images, (N, T, C, 2), NaN where one is missing."""
    mean, square = np.moveaxis(sums / size**2, -1, 0)
    contrast = np.sqrt(np.maximum(square - mean**2, 0))
    return np.where(present[..., None], np.stack([mean, contrast], axis=-1), np.nan)


def _mean_over_steps(brightness: Floats) -> Floats:
    """Return the mean over the steps that have an image, (N, C) from (N, T, C); else NaN."""
    there = np.isfinite(brightness)
    total = np.where(there, brightness, 0).sum(axis=1)
    counts = there.sum(axis=1)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _quantiles(values: Floats, shares: Floats) -> tuple[float, ...]:
    return tuple(np.round(np.quantile(values, shares), 6).tolist()) if len(values) else ()


def _range(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, _CENTRAL)
    wider = max(_WIDER * (high - low), _WIDER_AT_LEAST)
    return round(float(low - wider), 2), round(float(high + wider), 2)


def check_inputs(
    cubes: Cube, present: Present, training: TrainingInputs | None, *, size: int
) -> list[InputCheck]:
    """Compare N samples with the training inputs of a forecaster; None if it has no record of them.

    ``cubes`` are (N, T, C, S, S) with S a multiple of ``size``, the edge of its images.
    """
    measures = _measures(plane_sums(reduce_cubes(cubes, size)), present, size)
    brightness = np.round(_mean_over_steps(measures[..., 0]), 2)
    return [_check(*one, training) for one in zip(measures, present, brightness, strict=True)]


def _check(
    measures: Floats, present: Present, brightness: Floats, training: TrainingInputs | None
) -> InputCheck:
    out = _outside(measures, training)
    reasons = []
    missing = ~present
    if training is not None:  # what hardly any training sample had is not missing
        missing &= np.asarray(training.missing) <= 1 - _RARE
    if missing.any():
        named = _names(np.argwhere(missing).tolist())
        reasons.append(f"{int(missing.sum())} of {N_PLANES} images are missing: {named}")
    if out:
        named = _names(out)
        are = "images are" if len(out) > 1 else "image is"
        reasons.append(f"{len(out)} {are} outside the range of the training images: {named}")
    usable = int(present.sum()) - len(out)
    fewest = FEWEST_IMAGES if training is None else training.fewest_images
    status: Status = DEGRADED if reasons else NORMAL
    if usable < fewest:
        status = ABSTAIN
        reasons.append(f"{usable} images can be used; at least {fewest} are needed")
    if training is None:
        reasons.append(
            "the model has no record of its training inputs: only missing images are checked"
        )
    return InputCheck(
        status,
        tuple(reasons),
        tuple((step, CHANNELS[channel]) for step, channel in out),
        {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(CHANNELS, brightness, strict=True)
        },
    )


def _outside(measures: Floats, training: TrainingInputs | None) -> list[tuple[int, int]]:
    """Return step and channel of images whose brightness or contrast is out of range."""
    if training is None:
        return []
    result = []
    for k, channel in enumerate(CHANNELS):
        limits = training.ranges[channel]
        for step in range(N_STEPS):
            values = measures[step, k]
            known = len(limits) == 4 and np.isfinite(values).all()
            if known and not (
                limits[0] <= values[0] <= limits[1] and limits[2] <= values[1] <= limits[3]
            ):
                result.append((step, k))
    return sorted(result)


def _names(images: Sequence[Sequence[int]]) -> str:
    names = [f"{channel_title(CHANNELS[k])} {STEP_NAMES[step]}" for step, k in images[:_NAMED]]
    more = len(images) - _NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
