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

pytestmark = pytest.mark.slow
log = logging.getLogger("measured")  # shown by `-o log_cli=true --log-cli-level=INFO`

#: Honest samples that have to be answered while an attack lasts.
SAMPLES = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Serve a network on two cores; every attack leaves it as it was."""
    folder = tmp_path_factory.mktemp("server")
    model = save(network(-6).exported(), folder / "network")
    # Of one address half of 256 MiB; a client that drips is not refused for its pace.
    limits = {"max_buffered_bytes": 256 * MEBIBYTE, "min_upload_rate": 0}
    with serving(folder / "state", model=model, threads=2, **limits) as server:
        yield server


def honest(server, file: bytes, attack, **given: object) -> Watch:
    """Return what an honest client got during an attack; the bound of time only ends the test."""
    with attack, Watch(server, file, **given) as watch:
        server.until(lambda: watch.served >= SAMPLES, seconds=120)
    log.info("statuses: %s", dict(watch.statuses))
    log.info("slowest_health_s: %.2f", watch.slowest_health)
    log.info("slowest_sample_s: %.2f", watch.slowest_sample)
    return watch


@pytest.mark.parametrize(
    ("attack", "most"),
    [("claims", 100), ("drips", 100), ("drips300", 100), ("headers", 100), ("batches", 250)],
)
def test_attackers_take_neither_places_nor_much_memory(server, file, attack, most):
    before = warmed_up(server, file)
    watch = honest(server, file, ATTACKS[attack](server.address))
    assert set(watch.statuses) == {200}
    assert watch.memory - before < most * MEBIBYTE


def test_uploads_of_one_address_that_fill_its_half_leave_the_other_half(server, file):
    """Each of 16 sends 40 of 64 MiB and then drips."""
    before = warmed_up(server, file)
    full = claim() + "x" * (40 * MEBIBYTE)
    watch = honest(server, file, connections(server.address, [full] * 16, source="127.0.0.2"))
    assert set(watch.statuses) == {200}
    assert watch.memory - before < 256 * MEBIBYTE


def test_batches_whose_clients_hang_up_are_not_computed_to_their_end(server):
    done = 'flare_requests_total{endpoint="/predict_batch",method="POST",status="200"}'
    before = server.metric(done)
    with batches(server.address, hang_up=0.1):
        time.sleep(3)
    server.until(lambda: server.metric("flare_queue_requests") == 0, seconds=30)
    assert server.metric(done) == before


def warmed_up(server, file: bytes) -> int:
    """Return the server's memory once it has answered some samples."""
    with Watch(server, file) as watch:
        server.until(lambda: watch.served >= 4)
    return server.resident()
