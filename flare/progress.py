"""Show the progress of long work: a bar on a terminal, nothing in a log file."""

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
    """Give a function that shows how many items are done, and of how many, None if unknown.

    The unit ``B`` is written in powers of 1000. Log lines are printed above the bar.
    """
    with (
        logging_redirect_tqdm([logging.getLogger("flare")]),
        tqdm(
            desc=title,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            leave=False,
            disable=None,
        ) as progress_bar,
    ):
        first = True

        def report(done: int, total: int | None) -> None:
            nonlocal first
            if first:
                # What was done before this process began is not part of the speed.
                progress_bar.initial = progress_bar.n = done
                first = False
            progress_bar.total = total
            progress_bar.update(done - progress_bar.n)

        yield report
