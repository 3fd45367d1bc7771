"""A trained network as a forecaster, with its normalisation and postprocessing."""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from flare.errors import ForecasterInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.files import digest
from flare.forecast import LOG10_FLUX_RANGE, Forecast, natural_probabilities
from flare.forecasters.base import ONNX_RUNTIME, TORCH, Forecaster, check_cubes
from flare.forecasters.onnx import ExportedNetwork, export, read_graph
from flare.models import NetworkConfig, build_forecasting
from flare.models.normalisation import ChannelNormalisation, Standardisation
from flare.sample import Cube, Present, reduce_cubes

WEIGHTS = "weights.safetensors"
GRAPH = "network.onnx"
_CHUNK = 16  # samples at once; more is not faster on a CPU and costs memory


@dataclass(frozen=True)
class NetworkForecaster(Forecaster):
    """A network in evaluation mode, with the normalisation that it was trained with.

    A network with three quantiles gives the interval too. ``class_sampling_weights`` are those of
    the training, from the class below the weakest event up; empty for none. ``graph`` is the
    network for ONNX Runtime, None where it was not exported. With a ``standardisation`` the network
    also gets the features of the images.
    """

    kind: ClassVar[str] = "neural"
    network: nn.Module
    config: NetworkConfig
    normalisation: ChannelNormalisation
    class_sampling_weights: tuple[float, ...] = ()
    graph: ExportedNetwork | None = None
    standardisation: Standardisation | None = None

    def __post_init__(self) -> None:
        """Refuse a network and postprocessing that are for different kinds of output."""
        if self.postprocessing.distribution != (self.config.n_quantiles == 0):
            raise ForecasterInvalid(
                "the network gives a distribution and its postprocessing is for a flux and events, "
                "or the other way round; train it again"
            )

    @property
    def device(self) -> str:
        """Where the network runs: ``cpu`` or ``cuda``."""
        return next(self.network.parameters()).device.type

    @property
    def engine(self) -> str:
        """What runs the network: ``onnxruntime`` or ``torch``."""
        return TORCH if self.graph is None or self.device != "cpu" else ONNX_RUNTIME

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Forecast N samples, a few at a time."""
        check_cubes(cubes, present)
        run = self._run_torch
        if self.graph is not None and self.engine == ONNX_RUNTIME:
            run = self.graph.run
        flux = [np.empty((0, self.config.n_quantiles))]
        single = [np.empty((0, len(self.spec.events)))]
        scale = self.standardisation
        for start in range(0, len(cubes), _CHUNK):
            rows = slice(start, start + _CHUNK)
            images = reduce_cubes(np.asarray(cubes[rows]), self.spec.image_size)
            there = np.asarray(present[rows])
            features = None if scale is None else scale(compute_features(images, there))  # (N, D)
            flux_part, logits = run(images, there, features)
            flux.append(flux_part)
            single.append(torch.from_numpy(logits).sigmoid().numpy())
        return self._forecast(np.concatenate(flux), np.concatenate(single))

    @torch.inference_mode()
    def _run_torch(
        self, cubes: Cube, present: Present, features: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return log10 flux (N, Q) and logits (N, E) as PyTorch computes them."""
        self.network.eval()
        images, there = (torch.tensor(one, device=self.device) for one in (cubes, present))
        numbers = None if features is None else torch.tensor(features, device=self.device)
        log10_flux, logits = self.network(self.normalisation(images, there), there, numbers)
        return log10_flux.double().cpu().numpy(), logits.double().cpu().numpy()

    def _forecast(self, flux: NDArray[np.float64], single: NDArray[np.float64]) -> Forecast:
        """Make the forecast from the network's quantiles (N, Q) and probabilities (N, E)."""
        flux = np.clip(flux, *LOG10_FLUX_RANGE)
        ends = (flux[:, 0], flux[:, -1]) if flux.shape[1] > 1 else None
        if self.class_sampling_weights:
            single = natural_probabilities(single, self.class_sampling_weights)
        # The probabilities are independent sigmoids; the postprocessing puts them in order.
        middle = flux[:, flux.shape[1] // 2] if flux.shape[1] else np.full(len(flux), np.nan)
        level = self.spec.interval_level
        return self.postprocessing.apply(middle, single, self.spec.events, ends=ends, level=level)

    def exported(self) -> Self:
        """Return it with its network exported to ONNX, where that works."""
        if self.graph is not None:
            return self
        size = self.spec.image_size
        graph = export(
            self.network, self.normalisation, image_size=size, n_features=self.config.n_features
        )
        return replace(self, graph=graph)

    def with_threads(self, threads: int) -> Self:
        """Return it with this number of threads a call in ONNX Runtime."""
        if self.graph is None:
            return self
        return replace(self, graph=self.graph.with_threads(threads))

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write the weights as safetensors, and the graph; return what else is needed."""
        weights = {key: value.contiguous() for key, value in self.network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        parts: dict[str, object] = {
            "network": asdict(self.config),
            "normalisation": asdict(self.normalisation),
            "drawn": list(self.class_sampling_weights),
        }
        if self.standardisation is not None:
            parts["standardisation"] = {
                "features": list(FEATURE_NAMES),
                **asdict(self.standardisation),
            }
        if self.graph is not None:
            (folder / GRAPH).write_bytes(self.graph.content)
            parts["graph_sha256"] = digest(self.graph.content)
        return parts

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Build the network and load its weights, onto a GPU if there is one.

        Older folders have no graph; PyTorch runs their networks.
        """
        config = NetworkConfig(**parts["network"])
        network = build_forecasting(config)
        network.load_state_dict(_named_as_now(load_file(folder / WEIGHTS)))
        network.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        scale = parts["normalisation"]
        normalisation = ChannelNormalisation(tuple(scale["mean"]), tuple(scale["std"]))
        weights = tuple(parts.get("drawn", ()))  # older folders have none
        graph = read_graph(folder / GRAPH) if "graph_sha256" in parts else None
        features = parts.get("standardisation")
        scaled = None if features is None else _standardisation(features)
        if config.n_features != (0 if scaled is None else len(scaled.mean)):
            raise ForecasterInvalid(
                f"the network takes {config.n_features} features and the folder scales "
                f"{0 if scaled is None else len(scaled.mean)}; train it again"
            )
        return {
            "network": network,
            "config": config,
            "normalisation": normalisation,
            "class_sampling_weights": weights,
            "graph": graph,
            "standardisation": scaled,
        }


def _standardisation(parts: dict[str, Any]) -> Standardisation:
    if tuple(parts["features"]) != FEATURE_NAMES:
        raise ForecasterInvalid(
            "the network was fitted on other features than this version computes; train it again"
        )
    return Standardisation(*(tuple(parts[name]) for name in ("median", "mean", "std")))


def _named_as_now(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights under today's names: older folders do not prefix those of the encoder."""
    if any("encoder." in name for name in weights):
        return weights
    return {
        re.sub(r"^(members\.\d+\.|)(?!heads\.|members\.)", r"\1encoder.", name): value
        for name, value in weights.items()
    }
