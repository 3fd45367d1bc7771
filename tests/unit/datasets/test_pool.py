import os
import subprocess
import sys
import time
from pathlib import Path

from flare.parallel import map_in_order

ROOT = Path(__file__).parents[3]


def doubled(task: int) -> list[int]:
    return [2 * task]


def test_results_come_in_the_order_of_the_tasks():
    assert list(map_in_order(doubled, range(9), processes=2)) == [[2 * k] for k in range(9)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and was not waited for yet.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def test_workers_end_when_their_parent_is_killed():
    program = (
        "import os, time\n"
        "from flare.parallel import worker_pool\n"
        "with worker_pool(1) as pool:\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(600)\n"
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
