"""The number of usable cores, and the settings of OpenMP, in a system made of files."""

import json
import os
import subprocess
import sys

import pytest

from flare.cores import configure_openmp, usable_cores

HOST_PATH = "0::/system.slice/docker-1f.scope\n"


def system(root, own, files):
    """Write the files of a control group's limits, and return the root."""
    for name, text in {"proc/self/cgroup": own, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("25000 50000\n", 1),
        ("3200000 100000", 8),
        ("", 8),
        ("nonsense", 8),
        ("100000 0", 8),
    ],
)
def test_a_quota_counts_rounded_up_and_never_beyond_the_affinity(tmp_path, limit, cores):
    assert usable_cores(system(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": limit})) == cores


def test_the_least_quota_on_the_way_to_the_top_counts(tmp_path):
    limits = {
        "sys/fs/cgroup/jobs/cpu.max": "300000 100000",
        "sys/fs/cgroup/jobs/one/cpu.max": "max 100000",
    }
    assert usable_cores(system(tmp_path, "0::/jobs/one\n", limits)) == 3


def test_a_container_that_does_not_see_its_own_path_finds_its_limit_at_the_top(tmp_path):
    limits = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    assert usable_cores(system(tmp_path, HOST_PATH, limits)) == 2


def test_a_quota_counts_where_the_control_group_of_the_process_is_not_shown(tmp_path):
    assert usable_cores(system(tmp_path, "", {"sys/fs/cgroup/cpu.max": "200000 100000"})) == 2


@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", 8), ("", 8)])
def test_control_groups_of_version_1_count_too(tmp_path, quota, cores):
    limits = {
        "sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us": quota,
        "sys/fs/cgroup/cpu/pod/cpu.cfs_period_us": "100000",
    }
    own = "4:memory:/pod\n3:cpu,cpuacct:/pod\n0::/pod\n"
    assert usable_cores(system(tmp_path, own, limits)) == cores


@pytest.mark.parametrize("own", ["", "not a control group\n", "0::/../../etc\n"])
def test_without_readable_control_groups_the_affinity_counts(tmp_path, own):
    assert usable_cores(system(tmp_path, own, {})) == 8


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
