import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flare.training import processes
from flare.training.processes import defer_signals


@contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Hold signals back, and expect KeyboardInterrupt at the end."""
    try:
        with defer_signals() as stop:
            yield stop
    except KeyboardInterrupt:
        return
    pytest.fail("the signal was lost")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noticed_and_raises_nothing_within(number):
    with interrupted() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()


def test_the_same_signal_sent_on_by_a_parent_raises_nothing_within():
    with interrupted() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_check_is_raised_at_the_end(number):
    with interrupted() as stop:
        assert not stop()
        os.kill(os.getpid(), number)


def test_a_signal_is_not_lost_where_the_block_ends_with_an_error_that_is_caught_outside():
    with interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("diverged")


def test_one_more_after_a_second_does_not_wait(monkeypatch):
    times = iter([10.0, 11.5])
    monkeypatch.setattr(processes.time, "monotonic", lambda: next(times))
    with interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it waited")


def test_handlers_are_afterwards_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError), defer_signals():
        raise RuntimeError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with defer_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_nothing_is_held_back():
    said = []

    def work():
        with defer_signals() as stop:
            said.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [False]
