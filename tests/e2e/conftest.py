"""The command line as a user types it: real processes in a folder with a store of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_models import Shelf, climatology, network, shelf
from real_server import Server

from serving.routes.information import EXAMPLES, example_npy

from browsing import Visit, serving_page
from tiny import write_tiny_dataset
from workplace import store_uri, write_store

ROOT = Path(__file__).resolve().parents[2]

#: How the tests start `python` and `mlflow`: those of this environment, whatever is active.
BIN = Path(sys.executable).parent


class Place:
    """A folder to run commands in; temporary files of theirs go below it too."""

    project = ROOT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "ml-tmp"
        self.temporary.mkdir()
        self.data = write_tiny_dataset(folder / "tiny")
        write_store(folder / "mlflow.db", folder)

    @property
    def environment(self) -> Mapping[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FLARE_"))}
        return others | {
            "PATH": f"{BIN}{os.pathsep}{others['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FLARE_RUNS_DIR": str(self.folder / "ml-runs"),
            "TMPDIR": str(self.temporary),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
        }

    def leftovers(self) -> list[Path]:
        """Return temporary files; torch's import makes an empty folder for its compiler there."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def entry(self, name: str, **parameters: object) -> list[str]:
        words = [f"--{key}={value}" for key, value in parameters.items()]
        return ["python", "-m", f"entrypoints.{name}", *words]

    def run(self, name: str, **parameters: object) -> subprocess.CompletedProcess[str]:
        return self.call(*self.entry(name, **parameters))

    def call(self, *words: object) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def file() -> bytes:
    """The example input as a .npy file."""
    return example_npy(EXAMPLES)


@pytest.fixture(scope="session")
def cube(file: bytes) -> Any:
    """The same, uint8 (4, 10, 256, 256)."""
    return np.frombuffer(file[-40 * 256 * 256 :], np.uint8).reshape(4, 10, 256, 256)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, cube: Any) -> Iterator[Shelf]:
    """Versions 1 to 3 are good, 4 is damaged where it is stored, 5 answers NaN."""
    folder = tmp_path_factory.mktemp("registry")
    with shelf(folder, store_uri(folder), cube) as store:
        for forecaster in (climatology(-7), network(-6), climatology(-5)):
            store.register(forecaster)
        store.damage(store.register(network(-4), good=False))
        store.register(network(-3, broken=True), good=False)
        yield store


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server for one test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving_page(tmp_path, **settings))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server of a climatology for all tests of the page."""
    with serving_page(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start the system's Chromium; Playwright's own browsers are not needed."""
    result = shutil.which("chromium") or shutil.which("chromium-browser")
    if result is None:
        pytest.skip("no chromium on PATH; `apt-get install chromium` to test the page")
    playwright = pytest.importorskip("playwright.sync_api", reason="install playwright")
    # Of a module, not of the session: while it runs, no other test can use asyncio.
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=result, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, server: Server) -> Iterator[Callable[..., Visit]]:
    """Open tabs; at the end none may have logged an error or asked another origin."""
    opened: list[Visit] = []

    def open_tab(address: str | None = None, **options: Any) -> Visit:
        opened.append(Visit(chromium, address or server.address, **options))
        return opened[-1]

    yield open_tab
    for tab in opened:
        tab.close()
    assert [error for tab in opened for error in tab.errors] == []
    assert [url for tab in opened for url in tab.elsewhere] == []


@pytest.fixture(scope="module")
def shown(chromium: Any, server: Server) -> Iterator[Any]:
    """Show the example once, for the tests that only read."""
    tab = Visit(chromium, server.address)
    yield tab.example()
    tab.close()
    assert tab.errors == tab.elsewhere == []
