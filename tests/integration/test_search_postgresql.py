"""Studies in a real PostgreSQL, which several machines share; skipped where there is none."""

import threading

import pytest
from postgresql_server import PostgreSQL, postgresql
from search_processes import Searches, searches_in

from flare.workflows.searching.storage import open_storage, quiet_optuna


@pytest.fixture(scope="module")
def server():
    with postgresql() as started:
        yield started


@pytest.fixture
def searches(server, tmp_path, request):
    with searches_in(tmp_path, server.new_database(request.node.name[:50])) as place:
        yield place


def test_processes_that_open_a_new_database_at_once_all_can_use_it(server):
    quiet_optuna()
    address = server.new_database("at once")
    barrier, opened = threading.Barrier(6), []

    def work():
        barrier.wait()
        try:
            storage = open_storage(address, heartbeat=30)
        except Exception as error:
            opened.append(error)
            return
        opened.append(storage.get_all_studies())
        storage.remove_session()
        storage.engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [[]] * 6


@pytest.mark.slow
def test_two_machines_share_a_study(searches, server):
    both = [searches.start("shared", 6) for _ in range(2)]
    for one in both:
        assert one.end() == 0, one.output
    lost = searches.assert_complete("shared", 6)
    assert lost == []
    counts = [one.output.count(" complete: RPS ") for one in both]
    assert sum(counts) == 6
    assert all(counts), "one of them ran nothing"
    output = both[0].output + both[1].output
    assert output.count("trials were run here") == 1
    assert output.count("study shared-forest: 6 complete") == 1
    assert "Traceback" not in output
    assert_no_password(searches, server)


@pytest.mark.slow
def test_a_study_goes_on_after_the_server_was_away(searches, server):
    small = {"trial_epochs": 40, "accelerator": "cpu", "pruner": "none", "model": "cnn"}
    search = searches.start("outage", 2, heartbeat=30, **small)
    search.until(lambda: searches.running("outage", "cnn"))
    server.stop()
    try:
        search.until(lambda: "trying again for" in search.output)
    finally:
        server.start()
    assert search.end() == 0, search.output
    assert searches.assert_complete("outage", 2, model="cnn") == []
    assert "Traceback" not in search.output
    assert_no_password(searches, server)


def assert_no_password(searches: Searches, server: PostgreSQL) -> None:
    """Check that nothing which a search wrote or said has the password."""
    secret = server.password.encode()
    files = [path for path in searches.folder.rglob("*") if path.is_file()]
    assert searches.folder / "mlflow.db" in files
    assert [path for path in files if secret in path.read_bytes()] == []
