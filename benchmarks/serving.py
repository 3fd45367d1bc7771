"""Compare the server with three others, with one network and the same uploads, in one run.

    python -m benchmarks.serving [--architecture cnn] [--image_size 256] [--seconds 4] [--rounds 3]

All servers run at the same time and take turns, with one client and with eight, a uint8 and a
float32 array. `LitServe` takes part where it is installed (`pip install litserve`; it is not a
dependency of the project), and `mlflow models serve` with its best payload, a tensor as JSON. The
same JSON to a bare FastAPI application with our engine separates the cost of MLflow's server from
that of its payload. The time of the network alone, with all cores as for a single client, is
measured in this process, between the turns.
"""

import argparse
import http.client
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import machine
from flare.cores import usable_cores
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import load, save
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation
from flare.sample import CUBE_SHAPE, N_CHANNELS, present_of_cube

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8)
START_SECONDS = 180.0
OURS, SEED, LIT = "this server", "UploadFile, eager PyTorch", "LitServe"
MLFLOW, JSON_BODY = "mlflow models serve", "the same JSON, bare FastAPI"
NULL, PLAIN_NULL = "no model, this server", "no model, UploadFile"


@dataclass(frozen=True)
class Body:
    """The body of a request: its path and type."""

    path: str
    content_type: str
    data: bytes


@dataclass
class Times:
    """Seconds of each request, and the answers per second in each round."""

    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Return a percentile of the requests' times, in milliseconds."""
        return 1000 * float(np.percentile(self.seconds, share))


def network(architecture: str, image_size: int) -> NetworkForecaster:
    """Make an untrained network; its forecasts do not matter here."""
    config = NetworkConfig(architecture)
    normalisation = ChannelNormalisation((0.5,) * N_CHANNELS, (0.25,) * N_CHANNELS)
    spec = ForecasterSpec(image_size=image_size)
    origin = Origin("0", "benchmark", True, (), 0)
    return NetworkForecaster(build(config).eval(), config, normalisation, spec=spec, origin=origin)


def form(array: np.ndarray[Any, Any]) -> Body:
    """Return an array as the form that curl sends."""
    file = io.BytesIO()
    np.save(file, array)
    boundary = "------------------------dXK9w3hVbTqLm2Zr8sYpQc"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sample.npy"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    data = head.encode() + file.getvalue() + f"\r\n--{boundary}--\r\n".encode()
    return Body("/predict_npy", f"multipart/form-data; boundary={boundary}", data)


def post(port: int, body: Body, *, clients: int, seconds: float, times: Times) -> None:
    """Post the body repeatedly from several clients, each over one connection."""
    until = time.perf_counter() + seconds
    seconds_of: list[list[float]] = [[] for _ in range(clients)]
    failed: list[str] = []

    def client(mine: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        headers = {"Content-Type": body.content_type}
        while not mine or time.perf_counter() < until:
            start = time.perf_counter()
            connection.request("POST", body.path, body.data, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                failed.append(f"port {port}: {answer.status} {text[:200]!r}")
                break
            mine.append(time.perf_counter() - start)
        connection.close()

    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(mine,)) for mine in seconds_of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(failed[0])
    every = [one for mine in seconds_of for one in mine]
    times.seconds += every
    times.rates.append(len(every) / (time.perf_counter() - start))


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(words: list[str], port: int, environment: Mapping[str, str]) -> Iterator[int]:
    """Run a server until the block ends; its port, once it listens."""
    # `mlflow models serve` starts `python` by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
            time.sleep(0.2)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def uvicorn(app: str, port: int) -> list[str]:
    """Return the command line of an application."""
    return ["uvicorn", app, "--factory", "--port", str(port), "--log-level", "warning"]


def mlflow_model(forecaster: Forecaster, folder: Path) -> str:
    """Log and register a model in a store of its own; return the store's address."""
    from flare.tracking import packaging, promotions, registry, runs

    uri = f"sqlite:///{folder}/mlflow.db"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    os.environ["FLARE_RUNS_DIR"] = str(folder / "runs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        registry.connect(uri)
        with runs.start("train", name="benchmark") as run:
            version = packaging.package(
                run,
                forecaster,
                example=np.ones(CUBE_SHAPE, dtype=np.uint8),
                family="cnn",
                model_name="bench",
                tags={},
            )
        promotions.move_production(version)
    finally:
        os.chdir(before)
    return uri


def main() -> None:
    """Parse, start the servers, let them take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="cnn")
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    planes = rng.integers(1, 256, (40, 256, 256), dtype=np.uint8)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = network(given.architecture, given.image_size)
        eager, quick = save(plain, folder / "eager"), save(plain.exported(), folder / "model")
        labels, spec = np.array([1e-9, 1e-5]), ForecasterSpec(image_size=256)
        constant = fit_climatology(labels, spec=spec, origin=plain.origin)
        nothing = save(constant, folder / "nothing")
        uri = mlflow_model(plain, folder)
        ports = _start(stack, folder, eager=eager, quick=quick, nothing=nothing, uri=uri)
        bodies = _bodies(planes)
        times, bare = _in_turn(ports, bodies, load(quick), planes, given.seconds, given.rounds)
    _print(times, bare)
    print(
        f"\n{given.architecture}, {given.image_size} px, {given.rounds} rounds of "
        f"{given.seconds:g} s each; {machine('torch', 'onnxruntime', 'fastapi', 'uvicorn')}"
    )


def _start(
    stack: ExitStack, folder: Path, *, eager: Path, quick: Path, nothing: Path, uri: str
) -> dict[str, int]:
    ports: dict[str, int] = {}

    def start(name: str, words: list[str], port: int, **environment: str) -> None:
        ports[name] = stack.enter_context(server(words, port, environment))

    for name, model in ((OURS, quick), (NULL, nothing)):
        port = free_port()
        state = str(folder / f"state-{port}")
        settings = {
            "FLARE_MODEL": str(model),
            "FLARE_STATE_DIR": state,
            "FLARE_ACCESS_LOG": "false",
        }
        start(name, ["serving", "--port", str(port)], port, **settings)
    models = {"FLARE_BENCH_EAGER": str(eager), "FLARE_BENCH_MODEL": str(quick)}
    for name, app in ((SEED, "seed"), (PLAIN_NULL, "null_upload"), (JSON_BODY, "json_body")):
        port = free_port()
        start(name, uvicorn(f"benchmarks.serving_peers:{app}", port), port, **models)
    if find_spec("litserve"):
        port = free_port()
        start(LIT, ["benchmarks.serving_litserve", str(port)], port, **models)
    port = free_port()
    words = ["mlflow", "models", "serve", "-m", "models:/bench@Production"]
    words += ["--env-manager", "local", "--port", str(port)]
    start(MLFLOW, words, port, MLFLOW_TRACKING_URI=uri)
    time.sleep(5)  # some listen before they can answer
    return ports


def _bodies(planes: np.ndarray[Any, Any]) -> dict[str, dict[str, Body]]:
    """Return the body for each server, by type of the array."""
    bodies: dict[str, dict[str, Body]] = {}
    for dtype in ("uint8", "float32"):
        array = planes.astype(dtype)
        text = json.dumps({"inputs": array.reshape(1, *CUBE_SHAPE).tolist()}).encode()
        tensor = Body("/invocations", "application/json", text)
        upload = form(array)
        bodies[dtype] = dict.fromkeys((OURS, SEED, LIT, NULL, PLAIN_NULL), upload)
        if dtype == "uint8":  # MLflow enforces the signature: the tensor is of uint8
            bodies[dtype] |= {MLFLOW: tensor, JSON_BODY: tensor}
    return bodies


def _in_turn(
    ports: Mapping[str, int],
    bodies: Mapping[str, Mapping[str, Body]],
    forecaster: Forecaster,
    planes: np.ndarray[Any, Any],
    seconds: float,
    rounds: int,
) -> tuple[dict[tuple[str, int, str], Times], Times]:
    """Let every server take its turns; between them, the network alone."""
    times: dict[tuple[str, int, str], Times] = {}
    bare = Times()
    alone = forecaster.with_threads(usable_cores())
    cubes = planes.reshape(1, *CUBE_SHAPE)
    for number in range(rounds + 1):  # the first one warms up
        for dtype, of_server in bodies.items():
            for clients in CLIENTS:
                for name, body in of_server.items():
                    if name not in ports:
                        continue
                    one = times.setdefault((name, clients, dtype), Times()) if number else Times()
                    span = seconds if number else 0.5
                    post(ports[name], body, clients=clients, seconds=span, times=one)
                    if name == OURS and clients == 1 and dtype == "uint8":
                        until = time.perf_counter() + span
                        while time.perf_counter() < until:
                            start = time.perf_counter()
                            alone.predict(cubes, present_of_cube(cubes))
                            if number:
                                bare.seconds.append(time.perf_counter() - start)
    return times, bare


def _print(times: Mapping[tuple[str, int, str], Times], bare: Times) -> None:
    alone = 1000 * statistics.median(bare.seconds)
    print(f"the network alone, all cores: {alone:.1f} ms\n")
    print(
        "| server | array | clients | p50 (ms) | p99 (ms) | requests/s | this server's rate to it |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for (name, clients, dtype), one in times.items():
        rate = statistics.median(one.rates)
        ours = NULL if name in (NULL, PLAIN_NULL) else OURS
        ratio = statistics.median(
            a / b for a, b in zip(times[ours, clients, dtype].rates, one.rates, strict=True)
        )
        print(
            f"| {name} | {dtype} | {clients} | {one.percentile(50):.1f} | {one.percentile(99):.1f} "
            f"| {rate:.1f} | {ratio:.2f} |"
        )
    over = times[OURS, 1, "uint8"].percentile(50) / alone - 1
    print(f"\nover the network alone, one client, uint8: {100 * over:.1f} %")


if __name__ == "__main__":
    main()
