"""Training steps alone and next to other work, by how OpenMP's threads wait for each other.

    python -m benchmarks.yielding [architecture] [pixels] [turns]

PyTorch divides a step among threads that meet after every operation. GCC's OpenMP lets a thread
that is there first try again for some 3 ms (300,000 times) before it sleeps. Where another program
uses a core, the thread that is waited for needs just the core that is spent on trying.
``OMP_WAIT_POLICY=PASSIVE`` sleeps at once, ``GOMP_SPINCOUNT`` says how often to try. Each way has a
process of its own, all take turns; first alone, then next to one process that never rests, then
next to as many as there are cores. The first way is the one of GCC; what flare sets where nobody
has set anything is ``flare.cores.OPENMP_WAITING``. The ratio is the median of those within each
turn; that of the fastest turns is what comes nearest to an idle machine where it is not idle.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.timing import machine
from flare.cores import usable_cores

WAYS: Mapping[str, Mapping[str, str]] = {
    "300,000 tries, as GCC does": {"GOMP_SPINCOUNT": "300000"},
    "GOMP_SPINCOUNT=30000": {"GOMP_SPINCOUNT": "30000"},
    "GOMP_SPINCOUNT=3000": {"GOMP_SPINCOUNT": "3000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
BATCH, STEPS = 16, 1


def answer_steps(architecture: str, size: int) -> None:
    """Take some training steps for each line of stdin, and print the seconds that they took."""
    import torch

    from flare.models import NetworkConfig, build
    from flare.sample import N_CHANNELS, N_STEPS
    from flare.training.processes import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(0)
    network = build(NetworkConfig(architecture))
    optimizer = torch.optim.AdamW(network.parameters())
    cubes = torch.randn(BATCH, N_STEPS, N_CHANNELS, size, size)
    present = torch.ones(BATCH, N_STEPS, N_CHANNELS, dtype=torch.bool)
    for _line in sys.stdin:
        start = time.perf_counter()
        for _ in range(STEPS):
            log10_flux, logits = network(cubes, present)
            loss = (log10_flux + 6).abs().mean() + logits.square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        print(json.dumps(time.perf_counter() - start), flush=True)


@contextmanager
def _trainings(architecture: str, size: int) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Start a process for each way, and end them with the block."""
    command = [sys.executable, "-m", "benchmarks.yielding", "steps", architecture, str(size)]
    unset = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    started = {
        name: subprocess.Popen(
            command, env=clean | dict(way), text=True, stdin=-1, stdout=subprocess.PIPE
        )
        for name, way in WAYS.items()
    }
    try:
        yield started
    finally:
        for process in started.values():
            process.communicate()


@contextmanager
def _others(number: int) -> Iterator[None]:
    """Keep cores busy with so many processes."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], close_fds=True)
        for _ in range(number)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _seconds(process: "subprocess.Popen[str]") -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline()))


def _print_table(title: str, durations: Mapping[str, list[float]]) -> None:
    first = next(iter(durations))
    print(f"\n| {title} | samples/s | slowest and fastest turn | ratio | of the fastest |")
    print("|---|---:|---:|---:|---:|")
    for name, seconds in durations.items():
        rates = [STEPS * BATCH / one for one in seconds]
        ratio = statistics.median(
            plain / own for plain, own in zip(durations[first], seconds, strict=True)
        )
        print(
            f"| {name} | {statistics.median(rates):.0f} "
            f"| {min(rates):.0f} to {max(rates):.0f} | {ratio:.2f} "
            f"| {min(durations[first]) / min(seconds):.2f} |"
        )


def main(architecture: str = "cnn", size: int = 64, turns: int = 21) -> None:
    """Measure all ways, turn about, and print a table for each amount of other work."""
    cores = usable_cores()
    with _trainings(architecture, size) as trainings:
        for process in trainings.values():
            _seconds(process)  # modules are imported and kernels chosen from here on
        for others in dict.fromkeys((0, 1, cores)):
            with _others(others):
                durations: dict[str, list[float]] = {name: [] for name in trainings}
                for _ in range(turns):
                    for name, process in trainings.items():
                        durations[name].append(_seconds(process))
            _print_table(f"next to {others}" if others else "alone", durations)
    print(
        f"\n{architecture} at {size} px, {turns} turns of {STEPS} steps of {BATCH} samples; "
        f"{machine('torch')}"
    )


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["steps"]:
        answer_steps(words[1], int(words[2]))
    else:
        main(*words[:1], *map(int, words[1:3]))
