"""How long work shows that it is alive: a bar on a terminal, silence in a log file."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

Item = TypeVar("Item")


def bar(title: str, *, unit: str = "samples") -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Return a function that wraps an iterable in a progress bar with a title."""

    def wrapped(items: Iterable[Item]) -> Iterator[Item]:
        yield from tqdm(items, desc=title, unit=f" {unit}", leave=False, disable=None)

    return wrapped


@contextmanager
def counter(title: str, *, unit: str = "samples") -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how many of how many, None if unknown, are done.

    The unit ``B`` is written in powers of 1000. Log lines go above the bar.
    """
    with (
        logging_redirect_tqdm([logging.getLogger("flare")]),
        tqdm(
            desc=title,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            leave=False,
            disable=None,
        ) as shown,
    ):
        begun = False

        def report(done: int, total: int | None) -> None:
            nonlocal begun
            if not begun:
                shown.initial = shown.n = done  # what was there before says nothing of the speed
                begun = True
            shown.total = total
            shown.update(done - shown.n)

        yield report
