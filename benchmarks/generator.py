"""Time the synthetic generator, JPEG encoding included: `python -m benchmarks.generator`.

One process is compared with two, and with a loop that only writes the same number of images of
white noise through Pillow, the least that any generator must do.
"""

import tempfile
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.synthetic import synthesize
from flare.datasets.synthetic.write import JPEG_QUALITY
from flare.sample import IMAGE_SIZE, N_PLANES

_TRAINING, _TEST = 96, 24
_SAMPLES = _TRAINING + _TEST


_numbers = count()  # a new folder for each repeat; deleting thousands of files is not measured


def _make(place: Path, processes: int) -> None:
    dest = place / f"set-{next(_numbers)}"
    synthesize(dest, n_training=_TRAINING, n_test=_TEST, seed=0, processes=processes)


def _write_noise(place: Path) -> None:
    folder = place / f"noise-{next(_numbers)}"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(_SAMPLES * N_PLANES):
        plane = rng.integers(96, 160, (IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
        Image.fromarray(plane).save(folder / f"{k}.jpg", quality=JPEG_QUALITY)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        timings = time_in_turn(
            {
                "white noise, one process": lambda: _write_noise(place),
                "synthesize, one process": lambda: _make(place, 1),
                "synthesize, two processes": lambda: _make(place, 2),
            }
        )
    amount = float(_SAMPLES)
    print(rate_table(timings, amount=amount, unit="samples", reference="white noise, one process"))
    print(
        f"\n{_SAMPLES} samples of {N_PLANES} images, {IMAGE_SIZE} px; {machine('numpy', 'pillow')}"
    )


if __name__ == "__main__":
    main()
