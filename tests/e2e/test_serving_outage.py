"""A registry that is away: the server goes on, starts without it, and follows it again."""

import logging
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from known_models import climatology, shelf
from load import Load, connect, post, uploads_of
from real_server import serving
from tracking_server import Gate, mlflow_server

pytestmark = pytest.mark.slow
log = logging.getLogger("measured")  # shown by `-o log_cli=true --log-cli-level=INFO`

#: MLflow's client asks a server that is away again and again; here once, to be done sooner.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": 1, "MLFLOW_HTTP_REQUEST_TIMEOUT": 5}


class Registry:
    """A real MLflow server that can be killed, and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running = ExitStack()
        self.port = self._enter(None)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._running.close()

    def start_again(self) -> None:
        self._enter(self.port)

    def _enter(self, port: int | None) -> int:
        server = mlflow_server(self.folder, port=port, ending=signal.SIGKILL)
        return self._running.enter_context(server)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.kill()


@pytest.fixture(scope="module")
def store(registry, cube, tmp_path_factory):
    """Versions 1 and 2."""
    with shelf(tmp_path_factory.mktemp("work"), registry.uri, cube) as store:
        for log10_flux in (-7, -5):
            store.register(climatology(log10_flux))
        yield store


@pytest.fixture
def gate(registry, store):
    """The registry as the server sees it, to be shut without stopping it."""
    store.promote(1)
    gate = Gate(registry.port)
    yield gate
    gate.shut()


def test_a_registry_that_is_killed_and_started_again_under_load_costs_no_request(
    registry, store, file, tmp_path
):
    store.promote(1)
    with (
        serving(tmp_path, tracking_uri=registry.uri, **IMPATIENT) as server,
        Load(server.address, file, store.expected, clients=4) as load,
    ):
        load.wait_for_more(50)
        registry.kill()
        server.until(lambda: server.health()["last_error"] is not None)
        health = server.health()
        load.wait_for_more(100)
        registry.start_again()
        server.until(lambda: server.health()["last_error"] is None)
        log.info("promotion_s: %s", round(load.promote(store, 2), 2))
        load.wait_for_more(50)
    log.info("requests: %s", load.answered)
    assert load.failures == []
    assert (health["status"], health["model_version"]) == ("ok", "1")
    assert "(hidden) does not answer" in health["last_error"]  # it has no key


def test_a_start_without_the_registry_serves_the_last_good_version_of_this_disk(
    gate, store, file, tmp_path
):
    with serving(tmp_path, tracking_uri=gate.uri, **IMPATIENT) as server:
        assert server.health()["model_version"] == "1"
        assert server.stop() == 0
    gate.shut()
    with serving(tmp_path, tracking_uri=gate.uri, **IMPATIENT) as server:
        assert server.get("/ready").json()["model_version"] == "1"
        with Load(server.address, file, store.expected, clients=2) as load:
            load.wait_for_more(10)
            server.until(lambda: server.health()["last_error"] is not None)
            gate.open()
            load.promote(store, 2, seconds=60)
    assert load.failures == []


def test_a_first_start_without_the_registry_answers_503_until_it_is_there(
    gate, store, file, tmp_path
):
    gate.shut()
    with serving(tmp_path, tracking_uri=gate.uri, **IMPATIENT) as server:
        health = server.health()
        assert (health["status"], health["model_version"]) == ("no model", None)
        line = connect(server.address)
        status, answer, retry_after = post(line, uploads_of(file)[0])
        line.close()
        assert (status, answer["error"], retry_after) == (503, "registry_unavailable", "1")
        ready = server.get("/ready")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
        gate.open()
        server.until(lambda: server.get("/ready").status_code == 200)
        with Load(server.address, file, store.expected, clients=2) as load:
            load.wait_for_more(10)
    assert load.failures == []


@pytest.fixture
def silent():
    """The address of a registry that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_registry_that_never_answers_blocks_neither_requests_nor_a_stop(silent, file, tmp_path):
    with serving(tmp_path, tracking_uri=silent) as server:
        health = server.health()
        assert (health["status"], health["last_error"]) == ("no model", None)
        line = connect(server.address)
        status, answer, retry_after = post(line, uploads_of(file)[0])
        line.close()
        assert (status, answer["error"], retry_after) == (503, "no_model", "1")
        assert "still being loaded" in answer["detail"]
        assert "promote" not in answer["hint"]  # it is not known whether a promotion is missing
        assert server.stop() == 0
