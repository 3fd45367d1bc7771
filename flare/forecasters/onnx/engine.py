"""Which engine runs the networks of a forecaster, and with how many threads.

Works for every forecaster: one without networks is returned as it is, and an ensemble asks its
members. A network is run by ONNX Runtime once it was exported, which is done when it is packaged;
by PyTorch before that, where ONNX Runtime is missing, and on a GPU.
"""

from typing import Protocol, Self, TypeVar, cast, runtime_checkable

from flare.forecasters.base import Forecaster

ONNX_RUNTIME, TORCH, NUMPY = "onnxruntime", "torch", "numpy"

_AnyForecaster = TypeVar("_AnyForecaster", bound=Forecaster)


@runtime_checkable
class RunsNetworks(Protocol):
    """A forecaster with networks, of its own or of its members."""

    @property
    def engine(self) -> str:
        """``onnxruntime`` or ``torch``; all that its members use, with commas, in an ensemble."""

    @property
    def device(self) -> str:
        """Where the networks run: ``cpu`` or ``cuda``."""

    def exported(self) -> Self:
        """Return it with its networks exported, those that can be."""

    def with_threads(self, threads: int) -> Self:
        """Return it with so many threads a call."""


def exported(forecaster: _AnyForecaster) -> _AnyForecaster:
    """Return a forecaster whose networks are run by ONNX Runtime, where that can be done.

    Those that were exported before are left as they are. Takes a second or a few per network.
    """
    if isinstance(forecaster, RunsNetworks):
        return cast(_AnyForecaster, forecaster.exported())
    return forecaster


def with_threads(forecaster: _AnyForecaster, threads: int) -> _AnyForecaster:
    """Return a forecaster whose exported networks take so many threads for one call.

    With one, calls from several threads run side by side, one a core. How many PyTorch takes is a
    matter of the whole process (``torch.set_num_threads``) and is left alone.
    """
    if isinstance(forecaster, RunsNetworks):
        return cast(_AnyForecaster, forecaster.with_threads(threads))
    return forecaster


def limit_torch(threads: int) -> None:
    """Let PyTorch take so many threads for one call, in the whole process."""
    import torch  # a forest is served without it

    torch.set_num_threads(threads)


def engine_of(forecaster: Forecaster) -> str:
    """Return what computes: ``onnxruntime``, ``torch``, or ``numpy`` where there is no network."""
    return forecaster.engine if isinstance(forecaster, RunsNetworks) else NUMPY


def device_of(forecaster: Forecaster) -> str:
    """Return where a forecaster computes: ``cuda`` if a network of it is there, or ``cpu``."""
    return forecaster.device if isinstance(forecaster, RunsNetworks) else "cpu"
