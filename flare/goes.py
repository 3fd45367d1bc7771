"""Convert between GOES soft X-ray classes and peak fluxes.

The class is the decade of the 1-8 Angstrom peak flux in W m^-2, and the digits behind it the
multiple of that decade: ``M2.3`` is 2.3e-5 W m^-2. Class X has no upper end: ``X12.0`` is 1.2e-3.
Source: NOAA SWPC, GOES X-ray flux product description.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import ConfigInvalid, InputInvalid

#: Lower boundary of each class in W m^-2. A has none: everything below B counts as A.
CLASS_FLOORS: dict[str, float] = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}
CLASS_LETTERS = tuple(CLASS_FLOORS)

#: SDOBenchmark's label for "no flare in the window", in W m^-2.
QUIET_FLUX = 1e-9

#: The events whose probability is forecast: a flare of at least this class within the window. From
#: weak to strong, they determine the probabilities of all five classes.
EVENTS = ("B1.0", "C1.0", "M1.0", "X1.0")
HEADLINE_EVENT = "M1.0"

#: Factors from the label in SDOBenchmark's files to other scales. Its labels are the NOAA class
#: flux divided by 0.85, and the physical flux of GOES 13-15 is the NOAA one divided by 0.7.
LABEL_SCALES: dict[str, float] = {"raw": 1.0, "noaa": 0.85, "physical": 0.85 / 0.7}

_CLASS_PATTERN = re.compile(r"([ABCMX])(\d+(?:\.\d+)?)")


def flux_of_class(goes_class: str) -> float:
    """Return the peak flux in W m^-2 of a class such as ``M2.3``.

    Raises ConfigInvalid: the text is not a class letter followed by a number.
    """
    match = _CLASS_PATTERN.fullmatch(goes_class.strip().upper())
    if match is None:
        raise ConfigInvalid(
            f"{goes_class!r} is not a GOES class; write a letter of A B C M X and a number, as M1.0"
        )
    # By way of decimal text, so that M2.3 is the float 2.3e-5 and not its neighbour.
    return float(f"{match[2]}e{round(math.log10(CLASS_FLOORS[match[1]]))}")


def class_letter(peak_flux: float) -> str:
    """Return the class letter A, B, C, M or X of a peak flux in W m^-2."""
    if not math.isfinite(peak_flux) or peak_flux < 0:
        raise InputInvalid(f"a peak flux of {peak_flux} W m^-2 has no GOES class")
    return CLASS_LETTERS[int(class_index(peak_flux))]


def class_of_flux(peak_flux: float) -> str:
    """Return the class with one digit, such as ``C5.7``, of a peak flux in W m^-2."""
    letter = class_letter(peak_flux)
    # Truncated as NOAA does; the millionth makes up for what a float loses of 2.3e-5.
    tenths = math.floor(peak_flux / CLASS_FLOORS[letter] * 10 + 1e-6)
    if letter != CLASS_LETTERS[-1]:
        tenths = min(tenths, 99)  # the float just below M1.0 is C9.9, not C10.0
    return f"{letter}{tenths / 10:.1f}"


def class_index(peak_flux: ArrayLike) -> NDArray[np.intp]:
    """Return 0..4 for A, B, C, M, X of each peak flux in W m^-2, of any shape."""
    floors = list(CLASS_FLOORS.values())[1:]
    return np.digitize(np.asarray(peak_flux, dtype=np.float64), floors).astype(np.intp)


def event_outcomes(
    peak_flux: ArrayLike, events: Iterable[str] = EVENTS, *, scale: str = "raw"
) -> NDArray[np.bool_]:
    """Return the outcome of each event for each peak flux: booleans (N, E).

    ``peak_flux`` are labels in W m^-2 as the dataset's files have them, (N,); ``scale``, one of
    ``LABEL_SCALES``, is that of the events' thresholds.
    """
    flux: NDArray[Any] = np.asarray(peak_flux, dtype=np.float64) * LABEL_SCALES[scale]
    if scale != "raw":
        # A label is a quotient that was rounded: M1.0 / 0.85 * 0.85 may fall just below M1.0.
        # Classes are 1 % and more apart, so nothing else moves.
        flux = flux * (1 + 1e-6)
    thresholds = np.array([flux_of_class(event) for event in events])
    return np.asarray(flux[:, None] >= thresholds[None, :])
