"""Two worker processes on one study: kill -9 of either, of the leading process, and Ctrl-C."""

import os
import signal

import psutil
import pytest
from search_processes import searches_in


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches")
    with searches_in(folder, f"sqlite:///{folder}/search.db") as place:
        yield place


def kill_in_a_trial(worker: psutil.Process, searches, study: str) -> bool:
    """Kill a process that runs one of two trials; it stays alive if it runs none.

    It is stopped first: between a look and a signal it could finish its trial.
    """
    worker.suspend()
    if len(searches.running(study)) == 2:
        worker.kill()
        return True
    worker.resume()
    return False


@pytest.mark.slow
def test_the_trials_of_killed_processes_are_run_again_by_the_same_command(searches):
    search = searches.start("killed", 3, workers=2)
    search.until(lambda: len(searches.running("killed")) == 2)
    worker = search.workers()[0]
    search.until(lambda: kill_in_a_trial(worker, searches, "killed"))
    search.until(lambda: f"worker {worker.pid} ended with exit code -9" in search.output)
    os.killpg(search.process.pid, signal.SIGKILL)
    search.until(search.group_has_ended)
    again = searches.start("killed", 3)
    assert again.end() == 0, again.output
    lost = searches.assert_complete("killed", 3)
    assert len(lost) >= 1
    assert "was lost with its process" in search.output + again.output
    reasons = {
        int(one.data.tags["flare.trial"]): one.data.tags.get("flare.error")
        for one in searches.runs("killed")
        if one.info.status == "FAILED"
    }
    assert {one.number: "its process was lost" for one in lost} == reasons


@pytest.mark.slow
def test_a_worker_of_a_killed_leader_leads_the_study_to_its_end(searches):
    search = searches.start("headless", 3, workers=2)
    search.until(lambda: len(searches.running("headless")) == 2)
    search.process.kill()
    assert search.end() == -signal.SIGKILL
    search.until(search.group_has_ended)
    searches.assert_complete("headless", 3)
    assert "Traceback" not in search.output


@pytest.mark.slow
def test_ctrl_c_loses_nothing_and_the_same_command_continues(searches):
    # Enough trials each time for both workers, one of which starts later.
    for whom, trials in (("leader", 5), ("all", 10)):
        search = searches.start("stopped", trials, workers=2)
        search.until(lambda: len(searches.running("stopped")) == 2)
        if whom == "all":  # as a terminal does
            os.killpg(search.process.pid, signal.SIGINT)
        else:
            search.process.send_signal(signal.SIGINT)
        assert search.end() == 130, search.output
        search.until(search.group_has_ended)
        assert "Traceback" not in search.output
        assert search.output.splitlines()[-1] == "search: stopped"
        runs = searches.runs("stopped")
        assert "RUNNING" not in {one.info.status for one in runs}
        assert runs[0].info.status == "KILLED"
    complete = searches.complete("stopped")
    again = searches.start("stopped", trials)
    assert again.end() == 0, again.output
    lost = searches.assert_complete("stopped", trials)
    stopped = [one for one in runs[1:] if one.info.status == "KILLED"]
    assert len(lost) == sum(one.data.tags["optuna.state"] == "FAIL" for one in stopped)
    assert f"continued from {complete} complete" in again.output or complete == 0
