"""Two worker processes on one study: kill -9 of either, of the leading process, and Ctrl-C."""

import os
import signal

import psutil
import pytest
from search_processes import searches_in, until


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches")
    with searches_in(folder, f"sqlite:///{folder}/search.db") as place:
        yield place


def kill_in_a_trial(worker: psutil.Process, searches, study: str, *, running: int) -> bool:
    """Kill a process that runs one of ``running`` trials; it stays alive if it runs none.

    It is stopped first: between a look and a signal it could finish its trial.
    """
    worker.suspend()
    if len(searches.running(study)) == running:
        worker.kill()
        return True
    worker.resume()
    return False


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_run_again_and_the_study_completes(searches):
    search = searches.start("killed", 6, workers=2)
    search.until(lambda: searches.complete("killed") >= 2)
    worker = search.workers()[0]
    search.until(lambda: kill_in_a_trial(worker, searches, "killed", running=2))
    assert search.end() == 0, search.output
    lost = searches.assert_complete("killed", 6)
    assert len(lost) >= 1
    assert f"worker {worker.pid} ended with exit code -9" in search.output
    assert "was lost with its process" in search.output
    reasons = {
        int(one.data.tags["flare.trial"]): one.data.tags.get("flare.error")
        for one in searches.runs("killed")
        if one.info.status == "FAILED"
    }
    assert {one.number: "its process was lost" for one in lost} == reasons


@pytest.mark.slow
def test_the_workers_of_a_killed_leader_complete_the_study(searches):
    search = searches.start("headless", 5, workers=2)
    search.until(lambda: len(searches.running("headless")) == 2)
    search.process.kill()
    assert search.end() == -signal.SIGKILL
    search.until(search.group_has_ended)
    again = searches.start("headless", 5, workers=2)
    assert again.end() == 0, again.output
    searches.assert_complete("headless", 5)
    assert "Traceback" not in search.output + again.output


@pytest.mark.slow
def test_after_all_processes_were_killed_the_same_command_completes_the_study(searches):
    search = searches.start("all-killed", 4, workers=2)
    search.until(lambda: len(searches.running("all-killed")) == 2)
    os.killpg(search.process.pid, signal.SIGKILL)
    search.until(search.group_has_ended)
    again = searches.start("all-killed", 4, workers=2)
    assert again.end() == 0, again.output
    assert len(searches.assert_complete("all-killed", 4)) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["leader", "all"])
def test_ctrl_c_loses_nothing_and_the_same_command_continues(searches, whom):
    study = f"stopped-{whom}"
    search = searches.start(study, 5, workers=2)
    search.until(lambda: searches.complete(study) >= 1 and len(searches.running(study)) == 2)
    if whom == "all":  # as a terminal does
        os.killpg(search.process.pid, signal.SIGINT)
    else:
        search.process.send_signal(signal.SIGINT)
    assert search.end() == 130, search.output
    until(search.group_has_ended, search, seconds=60)
    assert "Traceback" not in search.output
    assert search.output.splitlines()[-1] == "search: stopped"
    runs = searches.runs(study)
    assert "RUNNING" not in {one.info.status for one in runs}
    assert runs[0].info.status == "KILLED"
    complete = searches.complete(study)
    again = searches.start(study, 5, workers=2)
    assert again.end() == 0, again.output
    lost = searches.assert_complete(study, 5)
    stopped = [one for one in runs[1:] if one.info.status == "KILLED"]
    assert len(lost) == sum(one.data.tags["optuna.state"] == "FAIL" for one in stopped)
    assert f"continued from {complete} complete" in again.output
