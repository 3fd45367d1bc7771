"""The samples of a verification: what was forecast, and what happened, in arrays."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.goes import flux_of_class
from flare.verification.inputs import BoolArray, FloatArray
from flare.workflows.verifying.flares import FlareList, check_covers
from flare.workflows.verifying.forecasts import NO_REGION, events_of
from flare.workflows.verifying.tables import Times


@dataclass(frozen=True)
class Samples:
    """N samples, a window each: of the full disk, or of one region.

    ``times`` (N,) are those of the forecasts, sorted; the windows begin ``latency`` later.
    ``regions`` is (N,), 0 for the full disk. ``outcomes`` are by event, (N,);
    ``probabilities`` by event and method, (N,), NaN where there is no forecast. ``fluxes`` are
    log10 of forecast flux and its interval in W m^-2 by method, (3, N), NaN where there is none;
    ``observed_flux`` is (N,) in W m^-2, and None where no flux is forecast.
    """

    times: Times
    regions: NDArray[np.int64]
    window: np.timedelta64
    latency: np.timedelta64
    outcomes: dict[str, BoolArray]
    probabilities: dict[str, dict[str, FloatArray]]
    fluxes: dict[str, FloatArray] = field(default_factory=dict)
    observed_flux: FloatArray | None = None
    synthetic: bool = False

    def __len__(self) -> int:
        return len(self.times)

    @property
    def starts(self) -> Times:
        """The beginnings of the windows, (N,)."""
        return self.times + self.latency

    @property
    def by_region(self) -> bool:
        """Whether samples are of single regions."""
        return bool((self.regions != NO_REGION).any())

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods, in their order in the files."""
        names = (name for of in self.probabilities.values() for name in of)
        return tuple(dict.fromkeys(names))


def make_samples(
    table: pd.DataFrame,
    flares: FlareList | None,
    *,
    window_hours: float,
    latency_hours: float,
    by: str,
    overlap: str,
) -> Samples:
    """Arrange the table of ``read_forecasts`` by time and region, and find the outcomes.

    Raises
    ------
    InputInvalid
        There are no outcomes, methods contradict each other in them, the flare list does not
        cover the windows, or windows overlap.
    """
    window, latency = (
        np.timedelta64(round(hours * 60), "m") for hours in (window_hours, latency_hours)
    )
    if by == "disk":
        table = _full_disk(table)
    elif by == "region" and (table["region"] == NO_REGION).any():
        raise InputInvalid(
            "by=region, but forecasts have no region; name its column: -P columns=region=COLUMN,..."
        )
    keys = table[["time", "region"]].drop_duplicates().sort_values(["time", "region"])
    index = pd.MultiIndex.from_frame(keys)
    rows = index.get_indexer(pd.MultiIndex.from_frame(table[["time", "region"]]))
    times: Times = keys["time"].to_numpy(dtype="datetime64[ns]")
    regions = keys["region"].to_numpy(dtype=np.int64)
    starts: Times = times + latency
    if flares is not None:
        check_covers(flares, starts, window)
        if (regions != NO_REGION).any() and not flares.region.any():
            raise InputInvalid(
                "the forecasts are of active regions, and no flare of the list has one; name its "
                "column, -P event_columns=region=COLUMN,..., or pass -P by=disk"
            )
        if overlap == "refuse":
            _check_overlap(table, window)
    methods = list(dict.fromkeys(table["method"]))
    code = pd.Categorical(table["method"], categories=methods).codes
    outcomes, probabilities = {}, {}
    for event in events_of(table):
        values = table[f"p_{event}"].to_numpy(dtype=np.float64)
        matrix = np.full((len(methods), len(keys)), np.nan)
        matrix[code, rows] = values
        some = {name: row for name, row in zip(methods, matrix, strict=True) if _any(row)}
        if not some:
            raise InputInvalid(f"no method has a forecast of {event}: all are missing values")
        probabilities[event] = some
        if flares is None:
            outcomes[event] = _own_outcomes(table, event, rows, len(keys))
        else:
            of = regions if (regions != NO_REGION).any() else None
            outcomes[event] = flares.outcomes(event, starts, window, of)
    fluxes = _fluxes(table, methods, code, rows, len(keys))
    observed_flux = None
    if fluxes and flares is not None:
        of = regions if (regions != NO_REGION).any() else None
        observed_flux = flares.strongest(starts, window, of)
    elif fluxes and "observed_flux" in table:
        observed_flux = np.full(len(keys), np.nan)
        observed_flux[rows] = table["observed_flux"].to_numpy(dtype=np.float64)
    synthetic = "synthetic" in table and bool(table["synthetic"].fillna(False).any())
    return Samples(
        times,
        regions,
        window,
        latency,
        outcomes,
        probabilities,
        {} if observed_flux is None else fluxes,
        observed_flux,
        synthetic,
    )


def _any(row: FloatArray) -> bool:
    return bool(np.isfinite(row).any())


def _fluxes(
    table: pd.DataFrame,
    methods: list[str],
    code: NDArray[np.integer],
    rows: NDArray[np.intp],
    n: int,
) -> dict[str, FloatArray]:
    """Return log10 of forecast flux, lower and upper end by method, (3, N), if there are any."""
    if "peak_flux" not in table:
        return {}
    matrix = np.full((len(methods), 3, n), np.nan)
    for place, name in enumerate(("peak_flux", "flux_low", "flux_high")):
        if name in table:
            flux = table[name].to_numpy(dtype=np.float64)
            if (flux <= 0).any():
                raise InputInvalid(f"a {name} of {flux[flux <= 0][0]:g} W m^-2; it must be above 0")
            matrix[code, place, rows] = np.log10(flux)
    return {name: of for name, of in zip(methods, matrix, strict=True) if _any(of[0])}


def _full_disk(table: pd.DataFrame) -> pd.DataFrame:
    """Combine the regions of each method and time: 1 - prod(1 - p), any outcome."""
    if (table["region"] == NO_REGION).all():
        return table
    chances = [name for name in table.columns if name.startswith("p_")]
    others = [name for name in table.columns if name.startswith("o_")]
    logs = table.assign(**{name: np.log1p(-table[name].clip(upper=1 - 1e-12)) for name in chances})
    grouped = logs.groupby(["method", "time"], sort=False)
    result = pd.concat([grouped[chances].sum(min_count=1), grouped[others].max()], axis=1)
    result = result.reset_index()
    if "synthetic" in table:
        result["synthetic"] = bool(table["synthetic"].fillna(False).any())
    return result.assign(region=NO_REGION, **{name: -np.expm1(result[name]) for name in chances})


def _own_outcomes(table: pd.DataFrame, event: str, rows: NDArray[np.intp], n: int) -> BoolArray:
    """Return the outcomes in the table itself, (N,): of the event, or of the observed flux."""
    if f"o_{event}" in table:
        values = table[f"o_{event}"].to_numpy(dtype=np.float64)
    elif "observed_flux" in table:
        flux = table["observed_flux"].to_numpy(dtype=np.float64)
        values = np.where(np.isnan(flux), np.nan, flux >= flux_of_class(event))
    else:
        raise InputInvalid(
            f"no outcomes of {event}: pass a flare list, -P events=FILE, or name the column with "
            f"-P columns=...,o_{event}=COLUMN"
        )
    there = ~np.isnan(values)
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, rows[there], values[there])
    np.maximum.at(highest, rows[there], values[there])
    if (lowest < highest).any():
        raise InputInvalid(f"methods contradict each other in the outcome of {event} at one time")
    if np.isinf(lowest).any():
        raise InputInvalid(f"{int(np.isinf(lowest).sum())} samples have no outcome of {event}")
    return np.asarray(lowest == 1)


def _check_overlap(table: pd.DataFrame, window: np.timedelta64) -> None:
    ordered = table.sort_values(["method", "region", "time"], kind="stable")
    same = ~ordered.duplicated(["method", "region"])
    apart = ordered["time"].diff().to_numpy(dtype="timedelta64[ns]")
    overlapping = ~same.to_numpy() & (apart < window)
    if overlapping.any():
        first = ordered[overlapping].iloc[0]
        hours = window / np.timedelta64(1, "h")
        raise InputInvalid(
            f"{int(overlapping.sum())} windows of {hours:g} h overlap the one before: "
            f"{first.method} at {first.time}Z; pass a shorter -P window=, or -P "
            "overlap=keep to score all of them"
        )
