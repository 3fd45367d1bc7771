"""Flare lists: which windows had a flare of at least a class."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.config.verify import VerifyConfig, column_names
from flare.errors import ConfigInvalid, InputInvalid
from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_letter, flux_of_class
from flare.verification.inputs import BoolArray, FloatArray
from flare.workflows.verifying.tables import (
    Times,
    column_of,
    named,
    numbers_of,
    read_table,
    times_of,
)

log = logging.getLogger("flare")

#: Columns that need no mapping: those of this project, of the HEK and of SWPC's event lists.
OWN = {
    "peak": ("peak_time", "peak", "event_peaktime", "max_datetime", "max_time"),
    "class": ("goes_class", "class", "fl_goescls", "max_class"),
    "region": ("active_region", "region", "ar_noaanum", "noaa_ar"),
}

#: Factors from a listed class to the scale on which events are meant. Until 2020 NOAA's classes
#: were 0.7 times the irradiance: GOES-R X-ray data notes, NOAA NCEI 2020.
SCALES = {"listed": 1.0, "science": 1 / 0.7, "operational": 0.7}

#: NOAA's numbers are often written with four digits: 12673 as 2673.
_FOUR_DIGITS = 10_000


@dataclass(frozen=True)
class FlareList:
    """Flares by peak time: ``peak`` (F,) in UTC and sorted, ``flux`` in W m^-2, ``region`` or 0.

    The list is complete from ``begins`` to ``ends``.
    """

    peak: Times
    flux: FloatArray
    region: NDArray[np.int64]
    begins: np.datetime64
    ends: np.datetime64

    def outcomes(
        self,
        event: str,
        starts: Times,
        window: np.timedelta64,
        regions: NDArray[np.int64] | None = None,
    ) -> BoolArray:
        """Say for each window whether a flare of at least the class peaked in it, (N,).

        A window holds its beginning and not its end. With ``regions`` (N,) only flares of the
        same region count.
        """
        return reaches(self.strongest(starts, window, regions), event)

    def strongest(
        self, starts: Times, window: np.timedelta64, regions: NDArray[np.int64] | None = None
    ) -> FloatArray:
        """Return the largest peak flux in each window in W m^-2, ``QUIET_FLUX`` without a flare."""
        if regions is None:
            return _largest(self.peak, self.flux, starts, window)
        result = np.full(len(starts), QUIET_FLUX)
        number, of_flares = regions % _FOUR_DIGITS, self.region % _FOUR_DIGITS
        for one in np.intersect1d(number, of_flares[of_flares > 0]):
            rows, flares = number == one, of_flares == one
            result[rows] = _largest(self.peak[flares], self.flux[flares], starts[rows], window)
        return result


def reaches(flux: FloatArray, event: str) -> BoolArray:
    """Say which fluxes in W m^-2 are of at least a class."""
    # Classes are 1 % and more apart, so a millionth mends what rounding takes away.
    return np.asarray(flux * (1 + 1e-6) >= flux_of_class(event))


def _largest(peaks: Times, flux: FloatArray, starts: Times, window: np.timedelta64) -> FloatArray:
    first, last = np.searchsorted(peaks, starts), np.searchsorted(peaks, starts + window)
    # With a last one for windows that end after all flares; every other maximum is of a window.
    ends = np.column_stack([first, last]).ravel()
    maxima = np.maximum.reduceat(np.append(flux, 0.0), ends)[::2]
    return np.maximum(np.where(last > first, maxima, 0.0), QUIET_FLUX)


def read_flares(path: Path, config: VerifyConfig) -> FlareList:
    """Read a flare list; flares out of order are sorted, and the log says how many they were.

    Raises InputInvalid: the file cannot be read or has no flares, or a class or time of it cannot
    be.
    """
    table = read_table(path)
    if "type" in table and (table["type"] == "XRA").any():
        table = table[table["type"] == "XRA"].reset_index(drop=True)  # SWPC's X-ray events
    names = column_names(config.event_columns) or {
        name: next(one for one in choices if one in table)
        for name, choices in OWN.items()
        if any(one in table for one in choices)
    }
    unknown = set(names) - {"peak", "class", "region", "start"}
    if unknown:
        raise ConfigInvalid(
            f"event_columns: {min(unknown)} is not one of peak, class, region, start"
        )
    for wanted in ("peak", "class"):
        if wanted not in names:
            raise InputInvalid(
                f"{path} has no column of the {wanted}; it has {named(list(table.columns))}; name "
                "it with -P event_columns=peak=...,class=..."
            )
    peak = times_of(table, names["peak"], path, time_zone=config.time_zone)
    if "start" in names:  # peaks after midnight, listed with the date of the start
        start = times_of(table, names["start"], path, time_zone=config.time_zone)
        peak = np.where(peak < start, peak + np.timedelta64(1, "D"), peak)
    classes = column_of(table, names["class"], path)
    flux = np.array([_flux(text, path, row) for row, text in enumerate(classes, start=1)])
    region = np.zeros(len(table))
    if "region" in names:
        texts = column_of(table, names["region"], path)
        region = np.nan_to_num(numbers_of(texts, path, names["region"]))
    late = int(np.count_nonzero(peak[1:] < np.maximum.accumulate(peak)[:-1]))
    if late:
        log.warning("%s: %d of %d events are out of order; they were sorted", path, late, len(peak))
    order = np.argsort(peak, kind="stable")
    return FlareList(
        peak[order],
        flux[order] * SCALES[config.scale],
        region[order].astype(np.int64),
        _limit(config.events_from, "events_from", peak.min()),
        _limit(config.events_until, "events_until", peak.max()),
    )


def _flux(text: str, path: Path, row: int) -> float:
    try:
        return flux_of_class(text)
    except ConfigInvalid as error:
        raise InputInvalid(f"{path}, row {row}: {error}") from error


def _limit(text: str, parameter: str, otherwise: np.datetime64) -> np.datetime64:
    if not text:
        return otherwise
    try:
        return np.datetime64(text.removesuffix("Z"), "ns")
    except ValueError as error:
        raise ConfigInvalid(
            f"{parameter}={text} is not a time; write such as 2017-12-31T00:00Z"
        ) from error


def weaker_events(flares: FlareList, events: Iterable[str]) -> list[str]:
    """Say which events have a class of which the list has no flare: it may not list them."""
    weakest = class_letter(float(flares.flux.min()))
    order = CLASS_LETTERS.index
    weaker = [event for event in events if order(event[0]) < order(weakest)]
    if not weaker:
        return []
    return [
        f"the flare list has no flare below class {weakest}: windows with weaker flares count as "
        f"quiet for {', '.join(weaker)}"
    ]


def check_covers(flares: FlareList, starts: Times, window: np.timedelta64) -> None:
    """Raise InputInvalid unless the list is complete over all windows."""
    early, late = starts < flares.begins, starts + window > flares.ends
    if late.any():
        raise InputInvalid(
            f"the flare list ends at {_minutes(flares.ends)}, before {int(late.sum())} of "
            f"{len(starts)} windows end; use a longer list, or pass -P events_until="
            f"{_minutes((starts + window).max())} if it is complete until then"
        )
    if early.any():
        raise InputInvalid(
            f"the flare list begins at {_minutes(flares.begins)}, after {int(early.sum())} of "
            f"{len(starts)} windows begin; use a longer list, or pass -P events_from="
            f"{_minutes(starts.min())} if it is complete from then"
        )


def _minutes(time: np.datetime64) -> str:
    return f"{np.datetime_as_string(time, unit='m')}Z"
