"""Rows of a packed set, read ahead of whoever uses them, into buffers that are kept.

Training, validation and forecasts of whole splits read through this. Which rows come, and in
which order, is the caller's: nothing here draws numbers or depends on how fast anything is.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.errors import InputInvalid
from flare.sample import Cube

Rows = NDArray[np.intp]

_AHEAD = 2  # parts read while one is used: a slow one then does not stop the network


def read_ahead(cubes: Cube, parts: Sequence[Rows], *, pinned: bool = False) -> Generator[Tensor]:
    """Yield uint8 (n, T, C, H, W) for each part; it holds until the next one is asked for.

    Parameters
    ----------
    cubes
        uint8 (N, T, C, H, W), in memory or mapped.
    parts
        The rows of each part.
    pinned
        Whether the buffers are page-locked, from where a GPU copies faster.
    """
    shape = (max((len(part) for part in parts), default=0), *cubes.shape[1:])
    kept = [
        torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        for _ in range(min(_AHEAD + 1, len(parts)))
    ]

    def read(number: int) -> Tensor:
        out = kept[number % len(kept)][: len(parts[number])]
        read_rows(cubes, parts[number], out.numpy())
        return out

    # One thread: it copies while the network computes, and keeps the order.
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        ahead = deque(reader.submit(read, number) for number in range(min(_AHEAD, len(parts))))
        for number in range(len(parts)):
            out = ahead.popleft().result()
            if number + _AHEAD < len(parts):
                # Into the buffer of the part before this one, which nobody uses any more.
                ahead.append(reader.submit(read, number + _AHEAD))
            yield out


def read_rows(cubes: Cube, rows: Rows, out: Cube) -> None:
    """Copy rows of cubes into an array that is used again and again.

    A batch that is read into the same memory each time costs no page faults, which take longer
    than the copy. Other threads run meanwhile.

    Parameters
    ----------
    cubes
        uint8 (N, ...), in memory or mapped.
    rows
        Which rows, in which order; negative numbers count from the end.
    out
        uint8 (n, ...) with n at least ``len(rows)``; what follows these rows stays as it is.

    Raises
    ------
    InputInvalid
        ``out`` is too short, or of another shape or type.
    """
    shape, dtype = out.shape, out.dtype
    if len(rows) > len(out) or shape[1:] != cubes.shape[1:] or dtype != cubes.dtype:
        raise InputInvalid(
            f"{len(rows)} rows of {cubes.dtype} {tuple(cubes.shape)} do not fit into {dtype} "
            f"{shape}; give an array of at least as many rows like them"
        )
    plain = np.asarray(cubes)  # a memmap makes a memmap of each row, which takes longer
    for place, row in enumerate(rows):
        out[place] = plain[row]


def in_pieces(rows: Rows, size: int) -> list[Rows]:
    """Cut rows into pieces of ``size``, the last one shorter."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
