"""A server under load: versions come and go, broken ones too, and no request notices."""

import logging
import threading

import pytest
from load import Load, connect, post, uploads_of
from real_server import serving

pytestmark = pytest.mark.slow
log = logging.getLogger("measured")  # shown by `-o log_cli=true --log-cli-level=INFO`

MEGABYTE = 10**6

#: Forwards, forwards, back, back.
PROMOTIONS = (2, 3, 2, 1) * 5


def test_twenty_promotions_under_load_lose_no_request_and_keep_no_memory(store, file, tmp_path):
    store.promote(1)
    with serving(tmp_path, tracking_uri=store.uri) as server:
        with Load(server.address, file, store.expected) as load:
            for version in (2, 3, 1):  # every version has been here when memory is looked at
                load.promote(store, version)
            load.wait_for_more(300)
            warm, warm_at = server.resident(), load.answered
            took = []
            for version in PROMOTIONS:
                took.append(load.promote(store, version))
                fresh = connect(server.address)
                assert post(fresh, uploads_of(file)[0])[1]["model_version"] == str(version)
                fresh.close()
                load.wait_for_more(80)
            load.wait_for_more(max(0, 2000 - (load.answered - warm_at)))
            grown = server.resident() - warm
        health = server.health()
    log.info("requests: %s", load.answered)
    log.info("by_version: %s", dict(load.by_version))
    log.info("slowest_promotion_s: %s", round(max(took), 2))
    log.info("memory_MB: %s", (round(warm / MEGABYTE), round((warm + grown) / MEGABYTE)))
    assert load.failures == []
    assert load.answered - warm_at >= 2000
    assert grown < 30 * MEGABYTE
    assert (health["model_version"], health["last_error"]) == ("1", None)


def test_broken_versions_are_refused_under_load_and_a_good_one_is_loaded_after_them(
    store, file, tmp_path
):
    store.promote(1)
    with serving(tmp_path, tracking_uri=store.uri) as server:
        with Load(server.address, file, store.expected) as load:
            for broken, says in ((4, "not the file that was saved"), (5, "nan")):
                store.promote(broken)
                prefix = f"version {broken}: "
                server.until(lambda prefix=prefix: prefix in (server.health()["last_error"] or ""))
                assert says in server.health()["last_error"]
                load.wait_for_more(50)
                assert server.health()["model_version"] == "1"
            load.promote(store, 2)
            load.wait_for_more(50)
        server.until(lambda: server.health()["last_error"] is None)
    log.info("requests: %s", load.answered)
    assert load.failures == []
    assert set(load.by_version) == {"1", "2"}


def test_a_burst_beyond_all_places_gets_answers_and_503s_and_nothing_else(store, file, tmp_path):
    store.promote(1)
    result: list[tuple[int, str | None] | str] = []
    start = threading.Barrier(200)
    uploads = uploads_of(file)

    def ask(k: int) -> None:
        line = connect(server.address, seconds=120)
        try:
            line.connect()
            start.wait(60)
            status, _, retry_after = post(line, uploads[k % 2])
            result.append((status, retry_after))
        except Exception as error:
            result.append(repr(error))
        finally:
            line.close()

    with serving(tmp_path, tracking_uri=store.uri, max_waiting=4) as server:
        clients = [threading.Thread(target=ask, args=(k,), daemon=True) for k in range(200)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(180)
        server.until(lambda: server.metric("flare_queue_requests") == 0)
        with Load(server.address, file, store.expected, clients=2) as load:
            load.wait_for_more(20)
    log.info("answers: %s", {str(one): result.count(one) for one in set(result)})
    assert len(result) == 200
    assert set(result) == {(200, None), (503, "1")}
    assert load.failures == []
