"""Export a network from PyTorch to an ONNX graph with the same outputs."""

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

#: Largest difference of log10 flux, in dex, and of logits from PyTorch's.
TOLERANCE = 1e-5

_OPSET = 20
_MAX_LOGIT = 16.0  # beyond it a probability is 0 or 1 to seven digits


def export(
    network: nn.Module, normalisation: ChannelNormalisation, *, image_size: int, n_features: int = 0
) -> ExportedNetwork | None:
    """Export a network and compare it with PyTorch; None, with a warning, where that fails."""
    if not can_run_graphs():
        return None
    network = copy.deepcopy(network).to("cpu").eval()
    try:
        sizes = {"image_size": image_size, "n_features": n_features}
        exported = ExportedNetwork(export_graph(network, normalisation, **sizes))
        apart = difference(exported, network, normalisation, **sizes)
    # Exporter and runtime have exceptions of their own; PyTorch runs the network instead.
    except Exception as error:
        log.warning("PyTorch runs the network, it could not be exported: %s", error)
        return None
    if not apart <= TOLERANCE:
        log.warning(
            "PyTorch runs the network: the outputs of the export differ by %.1e; wanted %.0e",
            apart,
            TOLERANCE,
        )
        return None
    return exported


def export_graph(
    network: nn.Module, normalisation: ChannelNormalisation, *, image_size: int, n_features: int = 0
) -> bytes:
    """Return the ONNX graph of a network on a CPU, in evaluation mode, for any number of samples.

    Inputs are uint8 cubes (N, T, C, S, S), bool (N, T, C) and, if D is not 0, float32 features
    (N, D); for the outputs see ``Network``.
    """
    inputs = (*INPUTS, FEATURES) if n_features else INPUTS
    samples = tuple(map(torch.from_numpy, _samples(normalisation, image_size, n_features)))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "network.onnx"
        # That the exporter is old (docs/decisions/0011), and that shapes are fixed in the graph.
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
    """Return the largest difference of an exported network from PyTorch, in dex and in logits.

    It is measured on a batch of three samples with gaps and on a single one, within the ranges to
    which outputs are limited.
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
            _apart(logits, graph_logits, (-_MAX_LOGIT, _MAX_LOGIT)),
        ]
    return float(np.max(apart))


def _apart(network: Tensor, graph: NDArray[np.float64], limits: tuple[float, float]) -> np.float64:
    one, two = (np.clip(output, *limits) for output in (network.double().numpy(), graph))
    apart: np.float64 = np.abs(one - two).max(initial=0.0)
    return apart


def _samples(
    normalisation: ChannelNormalisation, image_size: int, n_features: int
) -> tuple[Any, ...]:
    """Return four samples with typical grey levels, with and without gaps, and their features."""
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
        """Normalise grey levels by a factor and a summand per image, and run the network."""
        factors, summands = (present * one for one in (self.scale, self.shift))  # (N, T, C)
        rows = cubes.flatten(3).flatten(0, 2)  # (N * T * C, H * W)
        planes = _Scaled.apply(rows, factors.flatten())  # type: ignore[no-untyped-call]
        inputs = (planes + summands.flatten()[:, None]).reshape(-1, *cubes.shape[1:])
        outputs: tuple[Tensor, Tensor] = self.network(inputs, present, features)
        return outputs


class _Scaled(torch.autograd.Function):
    """Multiply planes of grey levels (B, P) by factors (B,): one pass in ONNX Runtime, not two."""

    @staticmethod
    def forward(ctx: object, planes: Tensor, factors: Tensor) -> Tensor:  # noqa: ARG004
        return planes * factors[:, None]

    @staticmethod
    def symbolic(g, planes, factors):  # type: ignore[no-untyped-def]
        return g.op("DequantizeLinear", planes, factors, axis_i=0)
