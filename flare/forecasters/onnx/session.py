"""Run an exported network with ONNX Runtime, which is faster on a CPU than PyTorch.

The graph is read from bytes after the folder's digests were checked, and is refused if it refers to
other files or to operators that are not ONNX's own.
"""

import functools
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from flare.errors import ForecasterInvalid
from flare.sample import Cube, Present

log = logging.getLogger("flare")

#: The inputs of the graph, features only where the network gets any, and its outputs.
INPUTS = ("cubes", "present")
FEATURES = "features"
OUTPUTS = ("log10_flux", "logits")

#: Samples per call. ONNX Runtime keeps its buffers, 62 MB a sample of 256 pixels (sixteen: 977 MB),
#: and larger batches leave the processor's cache.
_BATCH = 2


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


def read_graph(path: Path, *, sha256: str) -> ExportedNetwork | None:
    """Read an exported network; None, with a warning, where PyTorch has to run it.

    Raises ForecasterInvalid: the file has another digest, or is refused by ``ExportedNetwork``.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ForecasterInvalid(
            f"{path} is not the file that was saved; fetch the forecaster again"
        )
    if not can_run_graphs():
        return None
    try:
        return ExportedNetwork(content)
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
