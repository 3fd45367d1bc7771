"""Packed cubes in a device's memory: read once, and every batch gathered there.

A GPU computes an epoch in less time than the disk and the bus need to bring it the images. They
are grey levels of a byte, so a whole set takes 2.6 MB a sample at 256 pixels and often fits.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.sample import Cube
from flare.training.reader import Rows, in_pieces, read_ahead

log = logging.getLogger("flare")

#: How much of the free memory images may take; the rest is for the network's own work.
SHARE_OF_FREE_MEMORY = 0.6

_PIECE = 64  # samples a copy: 168 MB at 256 pixels


@dataclass(frozen=True)
class ResidentCubes:
    """Some rows of a set: uint8 (n, T, C, H, W) on a device, and where each row lies, -1 for not.

    ``places`` has an entry for each of all N rows.
    """

    cubes: Tensor
    places: NDArray[np.intp]

    def gather(self, rows: Rows) -> Tensor:
        """Return a new (len(rows), T, C, H, W) on the device."""
        places = torch.from_numpy(self.places[rows]).to(self.cubes.device)
        return self.cubes.index_select(0, places)


def upload(cubes: Cube, rows: Rows, device: torch.device) -> ResidentCubes:
    """Copy some rows to a device, a few at a time; a row that is named twice lies there once."""
    wanted = np.unique(rows)
    places = np.full(cubes.shape[0], -1, dtype=np.intp)
    places[wanted] = np.arange(len(wanted))
    there = torch.empty((len(wanted), *cubes.shape[1:]), dtype=torch.uint8, device=device)
    done = 0
    for piece in read_ahead(cubes, in_pieces(wanted, _PIECE), pinned=device.type == "cuda"):
        there[done : done + len(piece)].copy_(piece)
        done += len(piece)
    return ResidentCubes(there, places)


def upload_if_room(cubes: Cube, rows: Rows, device: torch.device) -> ResidentCubes | None:
    """Copy some rows to a GPU that has room for them; None for one that has not, and for a CPU."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    size = len(np.unique(rows)) * int(np.prod(cubes.shape[1:]))
    if size > SHARE_OF_FREE_MEMORY * free:
        log.info(
            "%.1f GB of images stay outside the GPU, which has %.1f free", size / 1e9, free / 1e9
        )
        return None
    log.info("%.1f GB of images go into the memory of the GPU", size / 1e9)
    return upload(cubes, rows, device)
