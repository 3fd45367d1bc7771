"""The images of a split as they came, one behind the other in a file, decoded when they are read.

It takes a sixth of the disk of raw grey levels at 256 pixels and serves every image size. Decoding
runs in threads of this process: simplejpeg lets other threads run meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.cores import usable_cores
from flare.errors import DatasetInvalid
from flare.images.jpeg import decode_checked
from flare.images.planes import ImageRejected, decode_plane
from flare.sample import IMAGE_SIZE, N_CHANNELS, N_STEPS, Cube, reduce_cubes

Rows = int | np.integer | slice | list[int] | NDArray[np.integer] | NDArray[np.bool_]


class JpegCubes:
    """Cubes uint8 (N, 4, 10, S, S) that are decoded row by row, and otherwise read like an array.

    Parameters
    ----------
    path
        The bytes of all images: those of the first sample first, its time steps in order, and of
        each step the channels in order.
    lengths
        int64 (N, 4, 10): how many bytes each has; 0 where there is none, and the plane is zero.
    image_size
        S, pixels of an edge that the images of 256 are averaged down to.
    threads
        How many decode; by default one per core.
    """

    dtype = np.dtype(np.uint8)
    ndim = 5

    def __init__(
        self,
        path: Path,
        lengths: NDArray[np.int64],
        image_size: int,
        *,
        threads: int | None = None,
    ) -> None:
        self._path = path
        n_bytes = int(lengths.sum())
        self._bytes = np.empty(0, dtype=np.uint8)
        if n_bytes:  # an empty file cannot be mapped
            self._bytes = np.asarray(np.memmap(path, dtype=np.uint8, mode="r", shape=(n_bytes,)))
        self._ends = lengths.cumsum().reshape(lengths.shape)
        self._begins = self._ends - lengths
        self._threads = threads or usable_cores()
        self.shape = (len(lengths), N_STEPS, N_CHANNELS, image_size, image_size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> Cube:
        """Decode one row, or several into a new array, chosen like those of an array."""
        if isinstance(rows, int | np.integer):
            cube: Cube = self[[int(rows)]][0]
            return cube
        chosen = np.arange(len(self))[rows]
        out = np.empty((len(chosen), *self.shape[1:]), dtype=np.uint8)
        self.read_into(chosen, out)
        return out

    def read_into(self, rows: NDArray[np.integer], out: Cube) -> None:
        """Decode rows into the first places of ``out`` (n, 4, 10, S, S), see `rows.read_rows`.

        Raises
        ------
        DatasetInvalid
            Bytes of the file are no image any more.
        """
        chosen = np.arange(len(self))[rows].tolist()
        threads = min(self._threads, len(chosen))

        def decode_share(first: int) -> None:
            scratch = np.empty((N_CHANNELS, IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
            for place in range(first, len(chosen), threads):
                for step in range(N_STEPS):
                    self._decode_step(chosen[place], step, scratch, out[place, step])

        if threads <= 1:
            for first in range(threads):
                decode_share(first)
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            list(pool.map(decode_share, range(threads)))

    def _decode_step(self, row: int, step: int, scratch: Cube, out: Cube) -> None:
        """Decode the ten images (C, S, S) of a time step."""
        direct = out.shape == scratch.shape and out.flags.c_contiguous
        planes = out if direct else scratch
        begins, ends = self._begins[row, step].tolist(), self._ends[row, step].tolist()
        for plane, begin, end in zip(planes, begins, ends, strict=True):
            if begin == end:
                plane[...] = 0
            elif decode_checked(self._bytes[begin:end], IMAGE_SIZE, plane) is None:
                self._decode_slowly(row, self._bytes[begin:end].tobytes(), plane)
        if not direct:
            out[...] = reduce_cubes(planes, self.shape[-1])

    def _decode_slowly(self, row: int, data: bytes, plane: NDArray[np.uint8]) -> None:
        """Decode what the fast decoder did not want: PNG, or JPEG with a harmless flaw."""
        try:
            decode_plane(data, out=plane)
        except ImageRejected as error:
            raise DatasetInvalid(
                f"an image of row {row} in {self._path} is damaged ({error}); delete the folder "
                f"{self._path.parents[1]} and run `mlflow run . -e pack` again"
            ) from error
