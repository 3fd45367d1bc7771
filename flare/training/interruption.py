"""Ctrl-C and SIGTERM while a network trains: noticed at once, obeyed between two steps."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C and SIGTERM back; what is given says whether one has come.

    One more, a second later or more, raises KeyboardInterrupt where it meets the program, for those
    who cannot wait; sooner it is the same one, sent on by whoever started this process. Outside the
    main thread, where Python has no signals, nothing is held back.
    """
    come: list[float] = []

    def notice(_number: int, _frame: FrameType | None) -> None:
        come.append(time.monotonic())
        if come[-1] - come[0] > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, notice)
    try:
        yield lambda: bool(come)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
