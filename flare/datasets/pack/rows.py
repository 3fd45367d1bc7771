"""Rows of packed cubes into an array that is kept, whatever the cubes are stored as."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.sample import Cube


@runtime_checkable
class RowsReader(Protocol):
    """Cubes that are not an array in memory, and put rows into one themselves."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes of all rows, (N, 4, 10, S, S)."""
        ...

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Of a grey level."""
        ...

    def read_into(self, rows: NDArray[np.intp], out: Cube) -> None:
        """Put some rows into the first ``len(rows)`` places of ``out``."""
        ...


def read_rows(cubes: Cube | RowsReader, rows: NDArray[np.intp], out: Cube) -> None:
    """Put rows of cubes into a kept array, without an array between.

    A batch that is read into the same memory each time costs no page faults, which take longer
    than the copy. Other threads run meanwhile.

    Parameters
    ----------
    cubes
        uint8 (N, ...): an array, a mapped file, or a `RowsReader`.
    rows
        Which rows, in which order; negative numbers count from the end.
    out
        uint8 (n, ...) with n at least ``len(rows)``; places after those keep what they have.

    Raises
    ------
    InputInvalid
        ``out`` is too short, or of another shape or type.
    """
    shape, dtype = out.shape, out.dtype
    if len(rows) > len(out) or shape[1:] != cubes.shape[1:] or dtype != cubes.dtype:
        raise InputInvalid(
            f"{len(rows)} rows of {cubes.dtype} {tuple(cubes.shape)} do not fit into {dtype} "
            f"{shape}; give an array of at least so many rows like them"
        )
    if isinstance(cubes, RowsReader):
        cubes.read_into(rows, out)
        return
    plain = np.asarray(cubes)  # a memmap makes a memmap of each row, which takes longer
    for place, row in enumerate(rows):
        out[place] = plain[row]
