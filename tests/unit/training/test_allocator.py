import ctypes
import sys

import pytest

from flare.training.processes import keep_freed_memory


class Glibc:
    """Remembers how malloc was set."""

    def __init__(self):
        self.options = {}

    def mallopt(self, option, value):
        self.options[option] = value
        return 1


@pytest.fixture
def linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    return monkeypatch


def test_large_buffers_stay_on_the_heap_and_the_heap_is_not_trimmed(linux):
    libc = Glibc()
    linux.setattr(ctypes, "CDLL", lambda _name: libc)
    keep_freed_memory()
    # M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h.
    assert libc.options == {-4: 0, -1: 2**31 - 1}


def test_a_linux_without_glibc_is_left_alone(linux):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    linux.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()


def test_a_libc_without_mallopt_is_left_alone(linux):
    linux.setattr(ctypes, "CDLL", lambda _name: object())
    keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail(f"{name} was opened"))
    keep_freed_memory()
