"""Ctrl-C and SIGTERM while a network trains: noticed at once, obeyed between two steps."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C and SIGTERM back inside the block; the value says whether one has come.

    A signal that the block did not act on is raised as KeyboardInterrupt at its end, also where
    the block ends with another error. A second signal, at least one second after the first, raises
    KeyboardInterrupt immediately; sooner it is the same one, sent on by the parent process.
    Outside the main thread, where Python has no signals, nothing is held back.

    Raises
    ------
    KeyboardInterrupt
        A signal has come, and the block ended without one.
    """
    come: list[float] = []

    def notice(_number: int, _frame: FrameType | None) -> None:
        come.append(time.monotonic())
        if come[-1] - come[0] > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    try:
        # A stack, because a signal that comes while handlers are put back may raise there.
        with ExitStack() as handlers:
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    handlers.callback(signal.signal, number, before)
                    signal.signal(number, notice)
            yield lambda: bool(come)
    except Exception as error:
        if come:
            raise KeyboardInterrupt from error
        raise
    if come:
        raise KeyboardInterrupt
