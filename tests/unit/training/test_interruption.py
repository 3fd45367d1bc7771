import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flare.training import processes
from flare.training.processes import defer_signals

every_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@contextmanager
def interrupted() -> Iterator[Callable[[], bool]]:
    """Defer signals, and expect KeyboardInterrupt at the end."""
    try:
        with defer_signals() as stop:
            yield stop
    except KeyboardInterrupt:
        return
    pytest.fail("the signal was lost")


@every_signal
def test_a_signal_and_the_same_sent_on_by_a_parent_are_noticed_and_raised_at_the_end(number):
    with interrupted() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()


def test_a_signal_is_not_lost_where_the_block_ends_with_another_error():
    with interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("diverged")


def test_a_second_signal_after_a_second_does_not_wait(monkeypatch):
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


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with defer_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_nothing_is_deferred():
    stopped = []

    def work():
        with defer_signals() as stop:
            stopped.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stopped == [False]
