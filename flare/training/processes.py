"""The machine that a training runs on: devices and precision, worker processes, signals, memory."""

import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from flare.config.network_groups import OptimizerOptions
from flare.cores import usable_cores
from flare.errors import ConfigInvalid, FlareError, ProcessLost

#: Exit codes of a process that has reported its own error.
_REPORTED = (1, 2, 130)


def global_rank() -> int:
    """Return the number of this process among those of torchrun or SLURM; 0 without them."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment().global_rank()
    return SLURMEnvironment().global_rank() if SLURMEnvironment.detect() else 0


def _started_by_launcher() -> bool:
    """Return whether torchrun or SLURM started this process."""
    return TorchElasticEnvironment.detect() or SLURMEnvironment.detect()


def needs_launch(options: OptimizerOptions) -> bool:
    """Return whether several processes are wanted and neither torchrun nor SLURM started them."""
    return options.devices > 1 and options.num_nodes == 1 and not _started_by_launcher()


def launch(module: str, arguments: Sequence[str], *, processes: int) -> int:
    """Run a module in several processes on this machine, as torchrun does; return its exit code.

    If one fails, torchrun's agent stops the others; it forwards Ctrl-C and SIGTERM to all, which
    ends in KeyboardInterrupt here.

    Raises ProcessLost: a process ended without reporting an error, such as one killed for memory.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    how = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(how, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in _REPORTED:
            return int(failure.exitcode)
        raise ProcessLost(
            f"the process of rank {rank} ended with exit code {failure.exitcode}; give it more "
            "memory, or train with devices=1"
        ) from error
    except SignalException as error:
        raise KeyboardInterrupt from error
    return 0


def fabric_for(options: OptimizerOptions) -> Fabric:
    """Return the Fabric of this process; with several processes, wait until all have called this.

    Raises ConfigInvalid: the machine has no such accelerator or not as many devices.
    """
    devices, nodes = _devices(options)
    precision = resolve_precision(options.precision, options.accelerator)
    # Batch normalisation statistics are synchronised by the training loop, not by DDP.
    single = options.strategy == "auto" and devices * nodes == 1
    strategy = "auto" if single else DDPStrategy(forward_sync_buffers=False)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # rank registration
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on other hardware
            fabric = Fabric(
                accelerator=options.accelerator,
                devices=devices,
                num_nodes=nodes,
                strategy=strategy,
                precision=precision,  # type: ignore[arg-type]
            )
            fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise ConfigInvalid(
            f"accelerator={options.accelerator} with devices={devices}, num_nodes={nodes}, "
            f"precision={precision} is not available on this machine ({error}); "
            "use accelerator=auto, devices=1, precision=32-true"
        ) from error
    return fabric


def _devices(options: OptimizerOptions) -> tuple[int, int]:
    """Return devices per node and nodes: torchrun's numbers, or those of the options."""
    if TorchElasticEnvironment.detect():
        local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return local, world // local
    if not _started_by_launcher():
        if options.num_nodes > 1:
            raise ConfigInvalid(
                f"num_nodes={options.num_nodes}, but no processes were started on other machines; "
                "start this with torchrun or srun on all of them"
            )
        if options.devices > 1:
            raise ConfigInvalid(
                f"devices={options.devices}, but there is one process; start it with torchrun, or "
                "run the entry point train, which starts the others"
            )
    return options.devices, options.num_nodes


@contextmanager
def process_group(options: OptimizerOptions) -> Iterator[Fabric]:
    """Join the processes of a training, and leave them at the end of the block.

    Raises ProcessLost: communication failed because another process ended.
    """
    fabric = fabric_for(options)
    try:
        yield fabric
    except RuntimeError as error:
        if fabric.world_size == 1 or isinstance(error, FlareError):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ProcessLost(
            f"rank {fabric.global_rank} lost the other processes ({first}); see their messages, "
            "give them more memory, or train with devices=1"
        ) from error
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def resolve_precision(name: str, accelerator: str) -> str:
    """Return ``name``, or for ``auto`` the faster one of ``bf16-mixed`` and ``32-true``.

    By capability and not by a measurement, so that the same machine always computes the same: a
    GPU with bfloat16 matrix units (NVIDIA since Ampere), a CPU with bfloat16 tiles (Intel AMX).
    Other CPUs are slower in bfloat16 (`benchmarks.step`).
    """
    if name != "auto":
        return name
    if accelerator != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator != "cpu" and torch.backends.mps.is_available():
        fast = False
    else:
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return "bf16-mixed" if fast else "32-true"


@contextmanager
def divide_cores(fabric: Fabric) -> Iterator[None]:
    """Give each process of this machine its share of the cores inside the block."""
    before = torch.get_num_threads()
    local = fabric.world_size // max(1, getattr(fabric.strategy, "num_nodes", 1))
    if fabric.device.type == "cpu" and local > 1:
        torch.set_num_threads(max(1, usable_cores() // local))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def all_sum(values: Tensor, fabric: Fabric) -> Tensor:
    """Return the sum over all processes, on the device of ``values``."""
    if fabric.world_size == 1:
        return values
    total = fabric.all_reduce(values.to(fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.to(values.device)


def any_process(mine: bool, fabric: Fabric) -> bool:
    """Return whether ``mine`` is true in any process; all of them have to call this."""
    return bool(all_sum(torch.tensor(float(mine)), fabric))


@torch.no_grad()
def average_statistics(network: nn.Module, fabric: Fabric) -> None:
    """Average the running statistics of batch normalisation over CPU processes.

    ``SyncBatchNorm`` normalises by the batch of all processes, on GPUs only. On CPUs each process
    normalises its own part of a batch; with this, all of them keep the same weights and statistics.
    """
    if fabric.world_size == 1 or fabric.device.type == "cuda":
        return
    buffers = [one for one in network.buffers() if one.is_floating_point()]
    sums = all_sum(torch.cat([one.flatten() for one in buffers]), fabric)
    means = torch.split(sums / fabric.world_size, [one.numel() for one in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))


@contextmanager
def defer_signals() -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C and SIGTERM inside the block; the value says whether one was received.

    It is raised as KeyboardInterrupt at the end of the block, even if that ends with another error.
    A second signal more than one second after the first raises KeyboardInterrupt immediately; an
    earlier one is the same signal, forwarded by the parent process. Outside the main thread, where
    Python has no signals, nothing is deferred.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[float] = []

    def receive(_number: int, _frame: FrameType | None) -> None:
        received.append(time.monotonic())
        if received[-1] - received[0] > 1:
            raise KeyboardInterrupt

    try:
        # A stack, because a signal that comes while handlers are restored may raise there.
        with ExitStack() as handlers:
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    handlers.callback(signal.signal, number, before)
                    signal.signal(number, receive)
            yield lambda: bool(received)
    except Exception as error:
        if received:
            raise KeyboardInterrupt from error
        raise
    if received:
        raise KeyboardInterrupt


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Stop glibc from returning freed buffers to the system and requesting them again.

    Every training step frees and allocates the same hundreds of megabytes; by default each time
    means fresh pages, zeroed by the kernel, which takes half of the step. The process keeps its
    peak memory until it ends, or ``return_freed_memory`` is called. Nothing without glibc.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Return what ``keep_freed_memory`` keeps to the system, as after one of many trainings."""
    gc.collect()
    gc.freeze()  # the next call need not look at what is alive now: a quarter of a second
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
