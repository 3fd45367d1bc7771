"""Ranges that a search draws hyperparameters from; each model declares its own.

A space maps names of parameters to ranges, in an order in which every condition comes after what
it depends on. Names are those of the entry points' parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class _Conditional:
    """``when`` names another parameter and the values of it that this one has an effect with."""

    when: tuple[str, tuple[object, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Integers(_Conditional):
    """The integers from ``low`` to ``high``, both included; ``log``: equal ratios are as likely."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Reals(_Conditional):
    """The numbers from ``low`` to ``high``; ``log``: equal ratios are as likely."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Choices(_Conditional):
    """Values without an order."""

    options: tuple[str | bool, ...]


Range = Integers | Reals | Choices
Space = Mapping[str, Range]


def is_active(one: Range, chosen: Mapping[str, object]) -> bool:
    """Return whether a range has an effect with the values that were chosen before it."""
    return one.when is None or chosen.get(one.when[0]) in one.when[1]
