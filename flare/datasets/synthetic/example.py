"""Make the sample in ``data/example``: ``python -m flare.datasets.synthetic.example``."""

from pathlib import Path

from flare.datasets.synthetic.region import make_region
from flare.datasets.synthetic.render import Surroundings
from flare.datasets.synthetic.write import refuse_existing, write_sample
from flare.files import atomic_folder
from flare.goes import class_letter

_SEED = 0
_MISSING = (1, 2)


def write_example(dest: Path) -> Path:
    """Write the images of the example to ``dest/<id>`` and return that folder.

    It is the first sample of a selected test split that an M-class flare follows and that lacks one
    or two of its images, so that the example shows missing images too.

    Raises DatasetInvalid: the folder exists.
    """
    index = 0
    while True:
        region = make_region("test", index, seed=_SEED, test="selected")
        surroundings = Surroundings(region, _SEED)
        for position, window in enumerate(region.windows):
            if class_letter(window.peak_flux) != "M":
                continue
            images = surroundings.images(window, position)
            if (~images.present).sum() in _MISSING:
                folder = Path(dest) / window.sample_id
                refuse_existing(folder)
                with atomic_folder(folder) as partial:
                    write_sample(partial, window, images)
                return folder
        index += 1


if __name__ == "__main__":
    write_example(Path("data/example"))
