"""A trained network as a forecaster: architecture, weights, normalisation and tuning together."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from flare.forecasters.base import (
    LOG10_FLUX_RANGE,
    Forecast,
    ForecasterSpec,
    Origin,
    Tuning,
    check_cubes,
)
from flare.models import NetworkConfig, build
from flare.models.network import middle
from flare.models.normalisation import ChannelNormalisation
from flare.sample import Cube, Present, reduce_cubes

WEIGHTS = "weights.safetensors"
_CHUNK = 16  # samples at once: larger gains nothing on a CPU and costs memory


@dataclass(frozen=True)
class NeuralForecaster:
    """A network in evaluation mode, with the normalisation that it was trained with."""

    kind: ClassVar[str] = "neural"
    network: nn.Module
    config: NetworkConfig
    normalisation: ChannelNormalisation
    spec: ForecasterSpec
    origin: Origin
    tuning: Tuning = field(default_factory=Tuning)

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
            flux.append(middle(some_flux).double().numpy())
            single.append(some_logits.double().sigmoid().numpy())
        log10_flux = np.clip(np.concatenate(flux) if flux else np.empty(0), *LOG10_FLUX_RANGE)
        events = np.concatenate(single) if single else np.empty((0, len(self.spec.events)))
        # Sigmoids know nothing of each other; the tuning puts them in order.
        return self.tuning.finish(log10_flux, events, self.spec.events)

    def with_tuning(self, tuning: Tuning) -> Self:
        """Return the same forecaster with other thresholds and residuals."""
        return replace(self, tuning=tuning)

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write the weights as safetensors; return architecture and normalisation."""
        weights = {key: value.contiguous() for key, value in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        return {"network": asdict(self.config), "normalisation": asdict(self.normalisation)}

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
        return cls(network, config, normalisation, spec, origin, tuning)
