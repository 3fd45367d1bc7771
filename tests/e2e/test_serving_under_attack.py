"""Attacks that stop a server whose memory and places follow claims: honest clients notice little.

`python tests/attacks.py` measures the same on a server with a network of the usual size.
"""

import logging
import time

import pytest
from attacks import ATTACKS, MEBIBYTE, Watch, batches, claim, connections
from known_models import network
from real_server import serving

from flare.forecasters.storage import save
from serving.routes.information import EXAMPLES, example_npy

pytestmark = pytest.mark.slow
log = logging.getLogger("measured")  # shown by `-o log_cli=true --log-cli-level=INFO`

#: Honest samples that have to be answered while an attack lasts.
SAMPLES = 20


@pytest.fixture(scope="module")
def file():
    return example_npy(EXAMPLES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(network(-6).exported(), tmp_path_factory.mktemp("model") / "network")


def honest(server, file: bytes, attack, **given: object) -> Watch:
    """Return what an honest client got during an attack; the bound of time only ends the test."""
    with attack, Watch(server, file, **given) as watch:
        server.until(lambda: watch.served >= SAMPLES, seconds=120)
    log.info("statuses: %s", dict(watch.statuses))
    log.info("slowest_health_s: %.2f", watch.slowest_health)
    log.info("slowest_sample_s: %.2f", watch.slowest_sample)
    return watch


@pytest.mark.parametrize("attack", ["claims", "drips", "drips300", "headers"])
def test_connections_that_send_next_to_nothing_take_neither_places_nor_memory(
    attack, model, file, tmp_path
):
    with serving(tmp_path, model=model, threads=2) as server:
        with honest_warm_up(server, file):
            before = server.resident()
        watch = honest(server, file, ATTACKS[attack](server.address))
        assert set(watch.statuses) == {200}
        assert watch.memory - before < 100 * MEBIBYTE


def test_uploads_of_one_address_that_fill_its_half_leave_the_other_half(model, file, tmp_path):
    """Each of 16 sends 40 of 64 MiB and then drips."""
    limits = {"max_buffered_bytes": 256 * MEBIBYTE, "min_upload_rate": 0}
    with serving(tmp_path, model=model, threads=2, **limits) as server:
        with honest_warm_up(server, file):
            before = server.resident()
        full = claim() + "x" * (40 * MEBIBYTE)
        attack = connections(server.address, [full] * 16, source="127.0.0.2")
        watch = honest(server, file, attack)
        assert set(watch.statuses) == {200}
        assert watch.memory - before < 256 * MEBIBYTE


def test_compressed_batches_neither_fill_the_memory_nor_keep_single_samples_out(
    model, file, tmp_path
):
    with serving(tmp_path, model=model, threads=2) as server:
        with honest_warm_up(server, file):
            before = server.resident()
        watch = honest(server, file, batches(server.address))
        assert set(watch.statuses) == {200}
        assert watch.memory - before < 250 * MEBIBYTE


def test_batches_whose_clients_hang_up_are_not_computed_to_their_end(model, file, tmp_path):
    with serving(tmp_path, model=model, threads=2) as server:
        with batches(server.address, hang_up=0.1):
            time.sleep(3)
        server.until(lambda: server.metric("flare_queue_requests") == 0, seconds=30)
        assert server.get("/history?limit=1").json()["forecasts"] == []


def honest_warm_up(server, file: bytes):
    """Return a block in which the server has answered once."""
    watch = Watch(server, file)
    with watch:
        server.until(lambda: watch.served >= 4)
    return connections(server.address, [])
