"""Explain one forecast of a network by Integrated Gradients, pixel by pixel, through Captum.

The path leads from images of one grey level each, the median of the image, to the images. The
attributions of all pixels and features add up to the difference of the event's log odds between the
two ends (completeness). Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.errors import ConfigInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.forecasters.base import Forecaster
from flare.forecasters.explanation.occlusion import GRID, numbers, prepare
from flare.forecasters.network import NetworkForecaster
from flare.goes import HEADLINE_EVENT
from flare.sample import CHANNELS, STEP_NAMES, Cube, Present

_Floats = NDArray[np.float64]

#: Points of the path, and how many are computed at once.
STEPS, _BATCH = 64, 8


@dataclass(frozen=True)
class Attribution:
    """Attributions to the log odds of ``event`` before calibration.

    ``log_odds`` is that of the sample and ``baseline`` that of its images at their medians;
    ``pixels`` (T, C, S, S) and ``features`` add up to their difference but for ``error``.
    """

    event: str
    log_odds: float
    baseline: float
    pixels: _Floats
    features: dict[str, float]
    error: float

    def places(self, grid: int) -> _Floats:
        """Return the sums over all images and the pixels of each place, (G, G)."""
        edge = self.pixels.shape[-1] // grid
        whole = self.pixels.sum(axis=(0, 1)).reshape(grid, edge, grid, edge)
        return np.asarray(whole.sum(axis=(1, 3)))

    def values(self, grid: int = GRID) -> dict[str, Any]:
        """Return it as JSON values: sums over images and over places instead of pixels."""
        return {
            "method": "integrated gradients",
            "event": self.event,
            "log_odds": self.log_odds,
            "baseline": self.baseline,
            "error": self.error,
            "unit": "log odds before calibration",
            "channel_names": list(CHANNELS),
            "step_names": list(STEP_NAMES),
            "images": numbers(self.pixels.sum(axis=(2, 3))),
            "places": numbers(self.places(grid)),
            "features": self.features,
        }


def integrate_gradients(
    forecaster: Forecaster,
    cube: Cube,
    present: Present,
    *,
    event: str = HEADLINE_EVENT,
    steps: int = STEPS,
) -> Attribution:
    """Attribute the forecast of one sample to its pixels: cube (T, C, S, S), present (T, C).

    Raises ConfigInvalid: the forecaster is not a network, Captum is not installed, or the event is
    not forecast; InputInvalid: no image is present.
    """
    if not isinstance(forecaster, NetworkForecaster):
        raise ConfigInvalid(
            f"Integrated Gradients need a single network and this model is of the kind "
            f"{forecaster.kind}; use method=occlusion"
        )
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ConfigInvalid(
            "Integrated Gradients need Captum, which is not installed; run `pip install captum` "
            "or use method=occlusion"
        ) from error
    sample = prepare(forecaster, cube, present, event=event, grid=1)
    quiet = np.broadcast_to(sample.quiet, sample.cube.shape)
    ends = [_inputs(forecaster, one, present) for one in (sample.cube, quiet)]
    there = torch.tensor(present[None], device=forecaster.device)
    column = forecaster.spec.events.index(event)
    network = forecaster.network.eval()

    def log_odds(images: Tensor, features: Tensor | None = None) -> Tensor:
        if images.requires_grad:
            # Where an image is nearly flat, as at the start of the path, networks take its
            # standard deviation as 0, and the gradient of that square root is not defined.
            images = images * 1.0
            images.register_hook(torch.nan_to_num)  # type: ignore[no-untyped-call]
        logits: Tensor = network(images, there.expand(len(images), -1, -1), features)[1]
        return logits[:, column]

    attributions = IntegratedGradients(log_odds).attribute(
        ends[0], baselines=ends[1], n_steps=steps, internal_batch_size=_BATCH
    )
    pixels, *features = (one[0].double().cpu().numpy() for one in attributions)
    with torch.no_grad():
        whole, flat = (float(log_odds(*one)) for one in ends)
    total = pixels.sum() + sum(one.sum() for one in features)
    strongest = np.argsort(-np.abs(features[0]), kind="stable") if features else ()
    return Attribution(
        event,
        whole,
        flat,
        pixels,
        {FEATURE_NAMES[k]: float(features[0][k]) for k in strongest},
        float(total - (whole - flat)),
    )


def _inputs(forecaster: NetworkForecaster, cube: Cube, present: Present) -> tuple[Tensor, ...]:
    """Return what the network gets: normalised images (1, T, C, S, S), and features (1, F)."""
    cubes = torch.tensor(cube[None], device=forecaster.device)
    there = torch.tensor(present[None], device=forecaster.device)
    images = forecaster.normalisation(cubes, there)
    if forecaster.standardisation is None:
        return (images,)
    features = forecaster.standardisation(compute_features(cube[None], present[None]))
    return images, torch.tensor(features, device=forecaster.device)
