"""Tasks in several processes: in order, few at once, and no process is left behind."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from flare.errors import ProcessLost
from flare.parallel import map_in_order, reported

ROOT = Path(__file__).parents[2]


def doubled(task: int) -> list[int]:
    return [2 * task]


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_tasks(processes):
    results = list(map_in_order(doubled, range(9), processes=processes))
    assert results == [[2 * k] for k in range(9)]


def test_an_error_in_a_worker_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(eval, ["1", "1 / 0"], processes=2))


def test_no_more_tasks_are_started_than_are_asked_for(tmp_path):
    tasks = [f"open({str(tmp_path / str(k))!r}, 'w').close()" for k in range(12)]
    with closing(map_in_order(eval, tasks, processes=2, at_once=3)) as results:
        for used in range(1, 5):
            next(results)
            time.sleep(0.1)  # a slow caller
            assert len(list(tmp_path.iterdir())) <= used + 3


def test_progress_is_reported_after_each_list():
    reports = []
    items = reported([[1, 2], [], [3]], lambda *done: reports.append(done), 3)
    assert list(items) == [1, 2, 3]
    assert reports == [(2, 3), (2, 3), (3, 3)]


def test_a_worker_that_is_killed_is_one_clear_line():
    with pytest.raises(ProcessLost, match=r"worker process was killed, .* -P processes=1"):
        list(map_in_order(eval, ["__import__('os')._exit(9)"] * 4, processes=2))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and was not waited for yet.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def test_workers_end_when_their_parent_is_killed():
    program = (
        "import time\n"
        "from flare.parallel import map_in_order\n"
        "results = map_in_order(eval, ['__import__(\"os\").getpid()'] * 99, processes=2)\n"
        "print(next(results), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
        parent.wait(timeout=30)
    give_up = time.monotonic() + 30
    while alive(worker) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not alive(worker)
