"""How long work is shown from here, where nothing may know of terminals."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Report = Callable[[int, int | None], None]
"""Called with what is done, and what there is to do in all; None if nobody knows."""


class Stage(Protocol):
    """Opens the display of one stage of the work, in files or in bytes (``B``)."""

    def __call__(self, title: str, *, unit: str) -> AbstractContextManager[Report]:
        """Give the function that reports progress, until the stage is left."""


@contextmanager
def unseen(title: str, *, unit: str) -> Iterator[Report]:  # noqa: ARG001 - a Stage's signature
    """Show nothing."""
    yield lambda _done, _total: None
