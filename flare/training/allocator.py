"""How the C library hands out memory: for training, it should keep what it was given."""

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Stop glibc from returning freed buffers to the system and asking for them again.

    Every training step frees and takes the same hundreds of megabytes; by default each time means
    fresh pages, zeroed by the kernel, and half of the step goes there. Without glibc it does
    nothing. The process keeps its peak memory until it ends.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
