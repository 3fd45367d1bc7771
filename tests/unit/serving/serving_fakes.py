"""A forecaster, a source and a client that the serving tests share."""

import asyncio
import io
import tempfile
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
from fastapi import FastAPI

from flare.forecast import Forecast
from flare.forecast_facts import SampleFacts
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import EVENTS
from flare.images.grey_scale import LEVEL
from flare.sample import present_of_cube
from serving.app import create_app
from serving.models.source import Loaded, Version
from serving.settings import Settings
from serving.uploads.arrays import Samples

RNG = np.random.default_rng(0)
CUBE = RNG.integers(1, 256, (4, 10, 256, 256), dtype=np.uint8)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NPY = npy(CUBE.reshape(40, 256, 256))


def samples_of(*cubes: np.ndarray) -> Samples:
    """Return checked samples of cubes of grey levels, of which nothing else is known."""
    n, whole = len(cubes), np.stack(cubes)
    ids = tuple(map(str, range(n)))
    return Samples(whole, present_of_cube(whole), ids, (LEVEL,) * n, (SampleFacts(),) * n)


@dataclass
class FakeForecaster:
    """Answers fixed numbers; remembers what it was asked."""

    log10_flux: float = -5.24
    probabilities: tuple[float, ...] = (0.9, 0.6, 0.1, 0.01)
    threshold: float = 0.5
    synthetic: bool = False
    kind: str = "fake"
    asked: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spec = ForecasterSpec(image_size=256)
        self.postprocessing = PostProcessing(thresholds=dict.fromkeys(EVENTS, self.threshold))
        self.origin = Origin("0", "fake", self.synthetic, (), 1)
        self.training_inputs = None

    def predict(self, cubes: np.ndarray, present: np.ndarray) -> Forecast:
        self.asked.append(cubes)
        flux = np.full(len(cubes), self.log10_flux)
        probability = np.tile(self.probabilities, (len(cubes), 1))
        return Forecast(flux, flux - 1, flux + 1, probability, EVENTS)

    engine, device = "numpy", "cpu"

    def with_threads(self, threads: int) -> Self:
        return self


class Blocking(FakeForecaster):
    """Waits in its second forecast; the first is the self-test."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def predict(self, cubes: np.ndarray, present: np.ndarray) -> Forecast:
        if self.asked:
            self.entered.set()
            assert self.go_on.wait(60)
        return super().predict(cubes, present)


class FakeSource:
    """Serves ``models[current]``; an exception in either place is raised."""

    def __init__(self, **models: Forecaster | Exception) -> None:
        self.models = models
        self.current: str | Exception = next(iter(models), "none")
        self.loads: list[str] = []
        self.refused: list[str] = []
        self.accepted: str | None = None
        self.renewal: dict[str, Any] = {}

    @property
    def alias(self) -> str:
        return "Production"

    def current_version(self) -> Version:
        if isinstance(self.current, Exception):
            raise self.current
        return Version(self.current, self.current)

    def load(self, version: Version) -> Loaded:
        self.loads.append(version.number)
        return self._loaded(version)

    def last_good(self) -> Loaded | None:
        return self._loaded(Version(self.accepted, self.accepted)) if self.accepted else None

    def accept(self, loaded: Loaded) -> None:
        self.accepted = loaded.version.number

    def refuse(self, loaded: Loaded) -> None:
        self.refused.append(loaded.version.number)

    def with_new_details(self, loaded: Loaded) -> Loaded:
        return replace(loaded, details=self.renewal) if self.renewal else loaded

    def _loaded(self, version: Version) -> Loaded:
        model = self.models[version.number]
        if isinstance(model, Exception):
            raise model
        return Loaded(model, version, "solar-flare", Path("/models") / version.number)


class Client:
    """Talks to the app in its own event loop, lifespan included, without a socket."""

    def __init__(self, source: FakeSource, **settings: Any) -> None:
        # Polls at the start and then only when a test says so.
        self._state = tempfile.TemporaryDirectory()
        usual = {"poll_seconds": 3600.0, "state_dir": self._state.name, "access_log": False}
        chosen = Settings(**(usual | settings))
        self.app: FastAPI = create_app(chosen, source)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://server")
        self._lifespan = self.app.router.lifespan_context(self.app)

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.http.aclose())
        self.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()
        self._state.cleanup()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def poll(self) -> None:
        self.app.state.service.follower.poll_once()

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.run(self.http.get(path, **kwargs))

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.run(self.http.post(path, **kwargs))

    def predict(self, data: bytes = NPY) -> httpx.Response:
        return self.run(self.predicting(data))

    async def predicting(self, data: bytes = NPY) -> httpx.Response:
        return await self.http.post("/predict_npy", files={"file": ("sample.npy", data)})
