"""Export networks to ONNX, and run them with ONNX Runtime: faster on a CPU than PyTorch.

A graph is read from bytes after the folder's digests were checked, and is refused if it refers to
other files or to operators that are not ONNX's own.
"""

import copy
import functools
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flare.errors import ForecasterInvalid
from flare.forecast import LOG10_FLUX_RANGE
from flare.models.normalisation import ChannelNormalisation
from flare.sample import N_CHANNELS, N_STEPS, Cube, Present

log = logging.getLogger("flare")

#: The inputs of the graph, features only where the network gets any, and its outputs.
INPUTS = ("cubes", "present")
FEATURES = "features"
OUTPUTS = ("log10_flux", "logits")

#: Samples per call. ONNX Runtime keeps its buffers, 62 MB a sample of 256 pixels (sixteen: 977 MB),
#: and larger batches leave the processor's cache.
_BATCH = 2

#: Largest difference of log10 flux, in dex, and of logits from PyTorch's.
TOLERANCE = 1e-5

_OPSET = 20
_MAX_LOGIT = 16.0  # beyond it a probability is 0 or 1 to seven digits


@functools.cache
def can_run_graphs() -> bool:
    """Say whether ONNX Runtime is installed; warn once if it is not."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        log.warning("networks run on PyTorch, which is slower on a CPU: %s", error)
        return False
    return True


class ExportedNetwork:
    """An ONNX graph of a network and its normalisation, ready to run on a CPU.

    Calls from several threads run in parallel: ONNX Runtime releases Python's lock.
    """

    def __init__(self, graph: bytes, *, threads: int | None = None) -> None:
        """Prepare the graph; ``threads`` a call, None for PyTorch's number.

        Raises ForecasterInvalid: the graph refers to other files or other operators than ONNX's
        own, or has other inputs or outputs than a network.
        """
        from onnxruntime import InferenceSession, SessionOptions

        check_graph(graph)
        self.content = graph
        self.threads = torch.get_num_threads() if threads is None else threads
        options = SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Waiting threads must not keep the cores busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors; warnings are about optimisations
        self._session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(
        self, cubes: Cube, present: Present, features: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return log10 flux (N, Q) and event logits (N, E) of cubes (N, T, C, S, S) and a mask.

        ``features`` are (N, D) for a network that gets any; N is at least 1.
        """
        given: dict[str, Any] = dict(zip(INPUTS, (cubes, present), strict=True))
        if features is not None:
            given[FEATURES] = features
        answers = [
            self._session.run(
                list(OUTPUTS),
                {name: whole[start : start + _BATCH] for name, whole in given.items()},
            )
            for start in range(0, len(cubes), _BATCH)
        ]
        log10_flux, logits = map(np.concatenate, zip(*answers, strict=True))
        return log10_flux.astype(np.float64), logits.astype(np.float64)

    def with_threads(self, threads: int) -> Self:
        """Return the same network with this number of threads a call."""
        return self if threads == self.threads else type(self)(self.content, threads=threads)


def read_graph(path: Path) -> ExportedNetwork | None:
    """Read an exported network; None, with a warning, where PyTorch has to run it.

    Raises ForecasterInvalid: the graph is refused by ``ExportedNetwork``.
    """
    if not can_run_graphs():
        return None
    try:
        return ExportedNetwork(path.read_bytes())
    except ForecasterInvalid:
        raise
    # An older runtime may not know the operators, and has exceptions of its own.
    except Exception as error:
        log.warning("PyTorch runs the network, ONNX Runtime cannot read it: %s", error)
        return None


def check_graph(graph: bytes) -> None:
    """Raise ForecasterInvalid unless a graph is self-contained and has standard operators only."""
    import onnx

    try:
        model = onnx.load_model_from_string(graph)
    except Exception as error:  # protobuf's, which has no types
        raise ForecasterInvalid(f"the exported network is damaged ({error})") from error
    foreign = {one.domain for one in model.opset_import} - {"", "ai.onnx"}
    if foreign or model.functions:
        raise ForecasterInvalid(
            f"the exported network uses operators of {', '.join(sorted(foreign)) or 'its own'}; "
            "only ONNX's own are run"
        )
    for tensor in _tensors(model.graph):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ForecasterInvalid(
                f"{tensor.name!r} of the exported network is in another file; export it again"
            )
    inputs, outputs = (
        tuple(one.name for one in some) for some in (model.graph.input, model.graph.output)
    )
    for names, wanted in ((tuple(n for n in inputs if n != FEATURES), INPUTS), (outputs, OUTPUTS)):
        if names != wanted:
            raise ForecasterInvalid(f"the exported network has {names}; wanted {wanted}")


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor of a graph, in its nodes and their inner graphs too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


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
