"""From a network in PyTorch to a graph for ONNX Runtime that gives the same answers."""

import copy
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flare.forecast import LOG10_FLUX_RANGE
from flare.forecasters.onnx.session import (
    FEATURES,
    INPUTS,
    OUTPUTS,
    ExportedNetwork,
    can_run_graphs,
)
from flare.models.normalisation import ChannelNormalisation
from flare.sample import N_CHANNELS, N_STEPS

log = logging.getLogger("flare")

#: How far log10 flux, in dex, and logits may be from PyTorch's.
TOLERANCE = 1e-5

_OPSET = 20
_SURE = 16.0  # beyond this logit a probability is 0 or 1 in seven digits


def export(
    network: nn.Module,
    normalisation: ChannelNormalisation,
    *,
    image_size: int,
    n_features: int = 0,
) -> ExportedNetwork | None:
    """Return a network as ONNX Runtime runs it, or None, and why in the log, where it cannot.

    It is compared with PyTorch before it is returned.
    """
    if not can_run_graphs():
        return None
    network = copy.deepcopy(network).to("cpu").eval()
    try:
        sizes = {"image_size": image_size, "n_features": n_features}
        exported = ExportedNetwork(export_graph(network, normalisation, **sizes))
        apart = difference(exported, network, normalisation, **sizes)
    # Exporter and runtime each fail with exceptions of their own, and PyTorch can do without them.
    except Exception as error:
        log.warning("the network stays with PyTorch, it could not be exported: %s", error)
        return None
    if not apart <= TOLERANCE:
        log.warning(
            "the network stays with PyTorch: exported, its answers are %.1e apart; wanted %.0e",
            apart,
            TOLERANCE,
        )
        return None
    return exported


def export_graph(
    network: nn.Module,
    normalisation: ChannelNormalisation,
    *,
    image_size: int,
    n_features: int = 0,
) -> bytes:
    """Return the ONNX graph of a network on a CPU, in evaluation mode, for any number of samples.

    uint8 cubes (N, T, C, S, S), bool (N, T, C) and float32 features (N, D), if D is not 0, go in;
    see ``Network`` for what comes out.
    """
    inputs = (*INPUTS, FEATURES) if n_features else INPUTS
    samples = tuple(map(torch.from_numpy, _samples(normalisation, image_size, n_features)))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "network.onnx"
        # Of the exporter's age (docs/decisions/0011), and of shapes that are fixed in the graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _FromGreyLevels(network, normalisation).eval(),
            samples,
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "N"} for name in (*inputs, *OUTPUTS)},
        )
        return path.read_bytes()


def difference(
    exported: ExportedNetwork,
    network: nn.Module,
    normalisation: ChannelNormalisation,
    *,
    image_size: int,
    n_features: int = 0,
) -> float:
    """Return how far an exported network is from PyTorch at most, in dex and in logits.

    Samples have gaps, one of them everywhere, and come three at once and one alone. Values that are
    cut off before anybody sees them do not count.
    """
    samples = _samples(normalisation, image_size, n_features)
    apart = []
    for rows in (slice(0, 3), slice(3, 4)):
        some = [one[rows] for one in samples]
        images, there, *features = map(torch.from_numpy, some)
        with torch.inference_mode():
            log10_flux, logits = network(normalisation(images, there), there, *features)
        graph_flux, graph_logits = exported.run(*some)
        apart += [
            _apart(log10_flux, graph_flux, LOG10_FLUX_RANGE),
            _apart(logits, graph_logits, (-_SURE, _SURE)),
        ]
    return float(np.max(apart))


def _apart(network: Tensor, graph: NDArray[np.float64], seen: tuple[float, float]) -> np.float64:
    one, two = (np.clip(answer, *seen) for answer in (network.double().numpy(), graph))
    apart: np.float64 = np.abs(one - two).max(initial=0.0)
    return apart


def _samples(
    normalisation: ChannelNormalisation, image_size: int, n_features: int
) -> tuple[Any, ...]:
    """Return four samples of grey levels as the network knows them, with and without gaps.

    With features as a third array, if there are any.
    """
    rng = np.random.default_rng(0)
    cubes = np.empty((4, N_STEPS, N_CHANNELS, image_size, image_size), dtype=np.uint8)
    for channel, (mean, std) in enumerate(zip(normalisation.mean, normalisation.std, strict=True)):
        planes = rng.normal(mean, std, cubes[:, :, channel].shape)
        cubes[:, :, channel] = np.clip(planes, 0, 255)
    present = rng.random(cubes.shape[:3]) < 0.8
    present[0] = True
    present[1, 2] = False  # a step
    cubes[1, 2] = 0
    present[2] = False  # everything
    features = rng.standard_normal((4, n_features)).astype(np.float32)
    return (cubes, present, features) if n_features else (cubes, present)


class _FromGreyLevels(nn.Module):
    """A network with its normalisation before it."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, normalisation: ChannelNormalisation) -> None:
        super().__init__()
        self.network = network
        scale = 1 / torch.tensor(normalisation.std)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", -torch.tensor(normalisation.mean) * scale)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast from grey levels, by a factor and a summand an image, as the normalisation."""
        factors, summands = (present * one for one in (self.scale, self.shift))  # (N, T, C)
        rows = cubes.flatten(3).flatten(0, 2)  # (N * T * C, H * W)
        planes = _Scaled.apply(rows, factors.flatten())  # type: ignore[no-untyped-call]
        inputs = (planes + summands.flatten()[:, None]).reshape(-1, *cubes.shape[1:])
        told: tuple[Tensor, Tensor] = self.network(inputs, present, features)
        return told


class _Scaled(torch.autograd.Function):
    """Planes of grey levels (B, P) times factors (B,): one pass in ONNX Runtime, instead of two."""

    @staticmethod
    def forward(ctx: object, planes: Tensor, factors: Tensor) -> Tensor:  # noqa: ARG004
        return planes * factors[:, None]

    @staticmethod
    def symbolic(g, planes, factors):  # type: ignore[no-untyped-def]
        return g.op("DequantizeLinear", planes, factors, axis_i=0)
