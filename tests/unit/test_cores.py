"""The number of usable cores, and the settings of OpenMP, in a system made of files."""

import json
import os
import subprocess
import sys

import pytest

from flare.cores import configure_openmp, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "3200000 100000"}, 8),
        ({"cpu.max": ""}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu.max": "100000 0"}, 8),
        ({"jobs/one/cpu.max": "300000 100000"}, 3),
        ({"jobs/cpu.max": "300000 100000", "jobs/one/cpu.max": "max 100000"}, 3),
        ({"jobs/one/cpu.max": "max 100000", "cpu.max": "200000 100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({}, 8),
    ],
)
def test_a_quota_counts_rounded_up_and_never_beyond_the_affinity(tmp_path, limit, cores):
    files = {f"sys/fs/cgroup/{name}": text for name, text in limit.items()}
    for name, text in {"proc/self/cgroup": "0::/jobs/one\n", **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable_cores(tmp_path) == cores


def test_without_affinity_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def waiting_after_import(**given: str) -> dict[str, str]:
    """Return what decides how OpenMP waits, after `import flare` in an environment with these."""
    clean = {name: value for name, value in os.environ.items() if name not in WAITING}
    code = "import json, os; import flare; print(json.dumps(dict(os.environ)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=clean | given, check=True, capture_output=True, text=True)
    left = json.loads(done.stdout)
    return {name: left[name] for name in WAITING if name in left}


def test_importing_flare_lets_the_threads_of_openmp_sleep_while_they_wait():
    assert waiting_after_import() == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize(
    "given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "5000"}], ids=str
)
def test_how_openmp_waits_is_left_to_a_user_who_has_set_it(given):
    assert waiting_after_import(**given) == given


def test_a_quota_below_the_affinity_is_the_number_of_threads(monkeypatch):
    monkeypatch.setattr("flare.cores.usable_cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    configure_openmp()
    assert os.environ.pop("OMP_NUM_THREADS") == "2"


def test_a_number_of_threads_that_the_user_has_set_stays(monkeypatch):
    monkeypatch.setattr("flare.cores.usable_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    configure_openmp()
    assert os.environ["OMP_NUM_THREADS"] == "5"
