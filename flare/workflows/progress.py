"""How long work shows that it is alive: a bar on a terminal, silence in a log file."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def bar(title: str, *, unit: str = "samples") -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Return a function that wraps an iterable in a progress bar with a title."""

    def wrapped(items: Iterable[Item]) -> Iterator[Item]:
        yield from tqdm(items, desc=title, unit=f" {unit}", leave=False, disable=None)

    return wrapped


@contextmanager
def counter(title: str, *, unit: str = "samples") -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many of how many are done."""
    with tqdm(desc=title, unit=f" {unit}", leave=False, disable=None) as shown:

        def report(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield report
