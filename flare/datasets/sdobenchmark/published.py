"""What is published of the whole of SDOBenchmark, for a copy to be compared with.

Samples, regions and classes are counts of its label tables (i4Ds/SDOBenchmark, meta_data.csv of
both splits). Of the images only the last step of two channels has published numbers: they are the
samples left to those who used that image alone (jdonzallaz/solarnet).
"""

import numpy as np
from numpy.typing import NDArray

from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_index

#: Classes as the published counts have them: A and B together are "below C".
PUBLISHED: dict[str, dict[str, int]] = {
    "training": {
        "samples": 8336,
        "active_regions": 1091,
        "quiet": 3651,
        "below_c": 1280,
        "c": 2891,
        "m": 479,
        "x": 35,
    },
    "test": {
        "samples": 886,
        "active_regions": 91,
        "quiet": 248,
        "below_c": 111,
        "c": 351,
        "m": 151,
        "x": 25,
    },
}

#: What people call the classes, and all that is counted, in the order in which they are shown.
CLASS_NAMES = {"quiet": "quiet", "below_c": "below C", "c": "C", "m": "M", "x": "X"}
COUNT_NAMES = {"samples": "samples", "active_regions": "active regions", **CLASS_NAMES}

#: Samples with an image of the last step, by channel.
PUBLISHED_LAST_IMAGES: dict[str, dict[str, int]] = {
    "training": {"211": 8273, "magnetogram": 8172},
    "test": {"211": 874, "magnetogram": 865},
}


def classes_of(peak_flux: NDArray[np.float64]) -> dict[str, int]:
    """Count peak fluxes in W m^-2 by class: quiet, A and B, both together as below_c, C, M, X."""
    quiet = peak_flux <= QUIET_FLUX
    counted = np.bincount(class_index(peak_flux[~quiet]), minlength=len(CLASS_LETTERS)).tolist()
    a, b, c, m, x = counted
    return {"quiet": int(quiet.sum()), "a": a, "b": b, "below_c": a + b, "c": c, "m": m, "x": x}
