"""A trained network as a forecaster: architecture, weights, normalisation and tuning together."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from flare.errors import ForecasterInvalid
from flare.forecasters.base import (
    LOG10_FLUX_RANGE,
    Forecast,
    ForecasterSpec,
    Origin,
    Tuning,
    check_cubes,
)
from flare.forecasters.calibration import natural_probabilities
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation
from flare.sample import Cube, Present, reduce_cubes

WEIGHTS = "weights.safetensors"
_CHUNK = 16  # samples at once: larger gains nothing on a CPU and costs memory


@dataclass(frozen=True)
class NeuralForecaster:
    """A network in evaluation mode, with the normalisation that it was trained with.

    A network of three quantiles gives the interval too. ``drawn`` is how much oftener than they are
    the classes were drawn in training, from below the weakest event up; empty where they were not.
    """

    kind: ClassVar[str] = "neural"
    network: nn.Module
    config: NetworkConfig
    normalisation: ChannelNormalisation
    spec: ForecasterSpec
    origin: Origin
    tuning: Tuning = field(default_factory=Tuning)
    drawn: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse weights that nothing can be divided by: they were read from a damaged folder."""
        if not all(0 < weight < float("inf") for weight in self.drawn):
            raise ForecasterInvalid(f"classes were drawn {self.drawn} times as often; wanted > 0")
        if self.drawn and len(self.drawn) != len(self.spec.events) + 1:
            raise ForecasterInvalid(
                f"there are {len(self.drawn)} weights of classes for {len(self.spec.events)} events"
            )

    @torch.inference_mode()
    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Forecast N samples, a few at a time."""
        check_cubes(cubes, present)
        self.network.eval()
        flux, single = [], []
        for start in range(0, len(cubes), _CHUNK):
            rows = slice(start, start + _CHUNK)
            images = torch.tensor(reduce_cubes(np.asarray(cubes[rows]), self.spec.image_size))
            there = torch.tensor(np.asarray(present[rows]))
            inputs = self.normalisation(images, there)
            some_flux, some_logits = self.network(inputs, there)
            flux.append(some_flux.double().numpy())
            single.append(some_logits.double().sigmoid().numpy())
        return self._finished(
            np.concatenate(flux) if flux else np.empty((0, self.config.n_quantiles)),
            np.concatenate(single) if single else np.empty((0, len(self.spec.events))),
        )

    def _finished(self, flux: NDArray[np.float64], single: NDArray[np.float64]) -> Forecast:
        """Make the forecast of quantiles (N, Q) and probabilities (N, E) as the network issues."""
        flux = np.clip(flux, *LOG10_FLUX_RANGE)
        ends = (flux[:, 0], flux[:, -1]) if flux.shape[1] > 1 else None
        if self.drawn:
            single = natural_probabilities(single, self.drawn)
        # Sigmoids know nothing of each other; the tuning puts them in order.
        return self.tuning.finish(flux[:, flux.shape[1] // 2], single, self.spec.events, ends=ends)

    def with_tuning(self, tuning: Tuning) -> Self:
        """Return the same forecaster with other thresholds and residuals."""
        return replace(self, tuning=tuning)

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write the weights as safetensors; return what else makes the network and its input."""
        weights = {key: value.contiguous() for key, value in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        return {
            "network": asdict(self.config),
            "normalisation": asdict(self.normalisation),
            "drawn": list(self.drawn),
        }

    @classmethod
    def load_parts(
        cls,
        folder: Path,
        parts: dict[str, Any],
        *,
        spec: ForecasterSpec,
        tuning: Tuning,
        origin: Origin,
    ) -> Self:
        """Build the network and load its weights; every key must fit."""
        config = NetworkConfig(**parts["network"])
        network = build(config)
        network.load_state_dict(load_file(folder / WEIGHTS))
        network.eval()
        scale = parts["normalisation"]
        normalisation = ChannelNormalisation(tuple(scale["mean"]), tuple(scale["std"]))
        drawn = tuple(parts.get("drawn", ()))  # folders of before have none
        return cls(network, config, normalisation, spec, origin, tuning, drawn)
