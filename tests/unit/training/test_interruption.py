import os
import signal
import threading

import pytest

from flare.training import interruption
from flare.training.interruption import held_back


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noticed_and_raises_nothing(number):
    with held_back() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()


def test_the_same_signal_sent_on_by_a_parent_raises_nothing():
    with held_back() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()


def test_one_more_after_a_second_does_not_wait(monkeypatch):
    times = iter([10.0, 11.5])
    monkeypatch.setattr(interruption.time, "monotonic", lambda: next(times))
    with held_back():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_afterwards_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError), held_back():
        raise RuntimeError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with held_back() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_a_thread_nothing_is_held_back():
    said = []

    def work():
        with held_back() as stop:
            said.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == [False]
