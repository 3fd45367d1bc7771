"""Several processes that train one network: who they are, and how they are started.

Under torchrun and SLURM all of them are started from outside. Else this process starts the others
itself, on this machine: they run one function and end with it.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from flare.cores import usable_cores
from flare.errors import ConfigInvalid, FlareError, ProcessLost
from flare.training.settings import FitSettings

Given = TypeVar("Given")

#: What tells Lightning that somebody has started the processes, and where they meet.
_MEETING = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")


def started_outside() -> bool:
    """Return whether torchrun or SLURM has started this process, and others beside it."""
    return TorchElasticEnvironment.detect() or SLURMEnvironment.detect()


def rank_outside() -> int:
    """Return this process' number among those of torchrun or SLURM; without them 0."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment().global_rank()
    return SLURMEnvironment().global_rank() if SLURMEnvironment.detect() else 0


def fabric_for(settings: FitSettings) -> Fabric:
    """Return the Fabric of this process; with several it returns when all of them are there.

    Raises
    ------
    ConfigInvalid
        The machine has no such accelerator or not as many devices.
    """
    devices, nodes = _devices(settings)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # who has registered where
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on other hardware
            fabric = Fabric(
                accelerator=settings.accelerator,
                devices=devices,
                num_nodes=nodes,
                strategy=_strategy(settings.strategy, devices * nodes),
                precision=settings.precision,  # type: ignore[arg-type]
            )
            fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise ConfigInvalid(
            f"accelerator={settings.accelerator} with devices={devices}, num_nodes={nodes}, "
            f"precision={settings.precision} is not to be had here ({error}); "
            "use accelerator=auto, devices=1, precision=32-true"
        ) from error
    return fabric


def _devices(settings: FitSettings) -> tuple[int, int]:
    """Return devices a node and nodes: torchrun knows them, and else the settings do."""
    if TorchElasticEnvironment.detect():
        local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return local, world // local
    together = started_outside() or "LOCAL_RANK" in os.environ
    if settings.num_nodes > 1 and not started_outside():
        raise ConfigInvalid(
            f"num_nodes={settings.num_nodes}, but nobody has started processes on other machines; "
            "start this with torchrun or srun on all of them"
        )
    if settings.devices > 1 and not together:
        raise ConfigInvalid(
            f"devices={settings.devices}, but there is one process; start it with torchrun"
        )
    return settings.devices, settings.num_nodes


def _strategy(name: str, processes: int) -> str | Strategy:
    if name == "auto" and processes == 1:
        return "auto"
    # Batch normalisation sees all processes, so its statistics are the same everywhere.
    return DDPStrategy(forward_sync_buffers=False)


@contextmanager
def shared_cores(fabric: Fabric) -> Iterator[None]:
    """Give each process of this machine its part of the cores, while they train on them."""
    before = torch.get_num_threads()
    local = fabric.world_size // max(1, getattr(fabric.strategy, "num_nodes", 1))
    if fabric.device.type == "cpu" and local > 1:
        torch.set_num_threads(max(1, usable_cores() // local))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def team(processes: int, work: Callable[[Given], None], given: Given) -> Iterator[None]:
    """Start the other processes, each with ``work(given)``, and end them with the block.

    Nothing is started where this is the only one, or where others were started from outside.

    Raises
    ------
    ProcessLost
        One of them ended before its work was done.
    """
    if processes == 1 or started_outside():
        yield
        part_ways()
        return
    helpers: list[SpawnProcess] = []
    before = {name: os.environ.get(name) for name in _MEETING}
    port = _free_port()
    os.environ.update(_meeting(port, 0))
    try:
        helpers += _started(range(1, processes), port, work, given)
        yield
        for helper in helpers:
            helper.join(timeout=60)
    except RuntimeError as error:
        raise _lost(helpers) or error from error
    except BaseException:
        # Before the group ends: those that wait for this process would report that it is gone.
        for helper in helpers:
            helper.kill()
        raise
    finally:
        part_ways()
        for helper in helpers:
            helper.kill()
            helper.join()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _started(
    ranks: range, port: int, work: Callable[[Given], None], given: Given
) -> Iterator[SpawnProcess]:
    """Yield processes that have come as far as ``work``."""
    context = multiprocessing.get_context("spawn")
    starting = []
    for rank in ranks:
        ready, tell = context.Pipe(duplex=False)
        helper = context.Process(
            target=_help, args=(rank, port, tell, work, given), name=f"rank {rank}", daemon=True
        )
        helper.start()
        tell.close()
        starting.append((helper, ready))
    for helper, ready in starting:
        yield helper
        try:
            ready.recv()
        except EOFError:
            helper.join()
            raise _lost([helper]) or ProcessLost(f"{helper.name} ended at once") from None


def _help(
    rank: int, port: int, tell: Connection, work: Callable[[Given], None], given: Given
) -> None:
    """Do the work of a further process, which ends with the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the first process says when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger("flare").setLevel(logging.ERROR)
    os.environ.update(_meeting(port, rank))
    tell.send(rank)
    try:
        work(given)
    except KeyboardInterrupt:
        pass
    except FlareError as error:
        sys.stderr.write(f"rank {rank}: {error}\n")
        os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # threads of a broken process group would wait for those who are gone
    part_ways()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _lost(helpers: list[SpawnProcess]) -> ProcessLost | None:
    for helper in helpers:
        helper.join(timeout=1)
        if helper.exitcode not in (None, 0):
            return ProcessLost(
                f"the process of {helper.name} ended with exit code {helper.exitcode}; see above, "
                "or give it more memory, or train with devices=1"
            )
    return None


def _meeting(port: int, rank: int) -> dict[str, str]:
    return dict(zip(_MEETING, ("127.0.0.1", str(port), str(rank)), strict=True))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def part_ways() -> None:
    """Leave the group of processes, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
