"""The samples of a verification: forecasts, outcomes, and references for them, in arrays."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.config.verify import VerifyConfig, hours
from flare.errors import InputInvalid
from flare.goes import flux_of_class
from flare.verification.inputs import BoolArray, FloatArray
from flare.workflows.verifying.flares import FlareList, check_covers, reaches
from flare.workflows.verifying.forecasts import NO_REGION, events_of
from flare.workflows.verifying.tables import Times

#: The forecast flux and its interval.
_FORECAST_FLUXES = ("peak_flux", "flux_low", "flux_high")


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


def make_samples(table: pd.DataFrame, flares: FlareList | None, config: VerifyConfig) -> Samples:
    """Arrange the table of ``read_forecasts`` by time and region, and find the outcomes.

    Raises
    ------
    InputInvalid
        There are no outcomes, methods contradict each other in them, the flare list does not
        cover the windows, or windows overlap.
    """
    window, latency = (
        np.timedelta64(round(hours(text) * 60), "m") for text in (config.window, config.latency)
    )
    if config.by == "disk":
        table = _full_disk(table)
    elif config.by == "region" and (table["region"] == NO_REGION).any():
        raise InputInvalid(
            "by=region, but forecasts have no region; name its column: -P columns=region=COLUMN,..."
        )
    keys = table[["time", "region"]].drop_duplicates().sort_values(["time", "region"])
    index = pd.MultiIndex.from_frame(keys)
    rows = index.get_indexer(pd.MultiIndex.from_frame(table[["time", "region"]]))
    times: Times = keys["time"].to_numpy(dtype="datetime64[ns]")
    regions = keys["region"].to_numpy(dtype=np.int64)
    of = regions if (regions != NO_REGION).any() else None
    starts: Times = times + latency
    if flares is not None:
        check_covers(flares, starts, window)
        _check_regions(table, flares)
        if config.overlap == "refuse":
            _check_overlap(table, window)
    methods = list(dict.fromkeys(table["method"]))
    code = pd.Categorical(table["method"], categories=methods).codes

    def by_method(column: str) -> FloatArray:
        matrix = np.full((len(methods), len(keys)), np.nan)
        if column in table:
            matrix[code, rows] = table[column].to_numpy(dtype=np.float64)
        return matrix

    observed_flux = None if flares is None else flares.strongest(starts, window, of)
    outcomes, probabilities = {}, {}
    for event in events_of(table):
        probabilities[event] = _with_values(methods, by_method(f"p_{event}"))
        if not probabilities[event]:
            raise InputInvalid(f"no method has a forecast of {event}: all are missing values")
        if observed_flux is None:
            outcomes[event] = _own_outcomes(table, event, rows, len(keys))
        else:
            outcomes[event] = reaches(observed_flux, event)
    fluxes: dict[str, FloatArray] = {}
    if "peak_flux" in table:
        _check_fluxes(table)
        if observed_flux is None and "observed_flux" in table:
            observed_flux = np.full(len(keys), np.nan)
            observed_flux[rows] = table["observed_flux"].to_numpy(dtype=np.float64)
        if observed_flux is not None:
            columns = [by_method(name) for name in _FORECAST_FLUXES]
            fluxes = _with_values(methods, np.log10(np.stack(columns, axis=1)))
    return Samples(
        times=times,
        regions=regions,
        window=window,
        latency=latency,
        outcomes=outcomes,
        probabilities=probabilities,
        fluxes=fluxes,
        observed_flux=observed_flux if fluxes else None,
        synthetic="synthetic" in table and bool(table["synthetic"].fillna(False).any()),
    )


def _with_values(methods: list[str], matrix: FloatArray) -> dict[str, FloatArray]:
    """Return the rows of the methods that have a forecast; of fluxes the first part decides."""
    return {
        name: row
        for name, row in zip(methods, matrix, strict=True)
        if np.isfinite(row if row.ndim == 1 else row[0]).any()
    }


def _check_fluxes(table: pd.DataFrame) -> None:
    for name in _FORECAST_FLUXES:
        flux = table.get(name, pd.Series(dtype=float)).to_numpy(dtype=np.float64)
        if (flux <= 0).any():
            raise InputInvalid(f"a {name} of {flux[flux <= 0][0]:g} W m^-2; it must be above 0")


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


def _check_regions(table: pd.DataFrame, flares: FlareList) -> None:
    if (table["region"] != NO_REGION).any() and not flares.region.any():
        raise InputInvalid(
            "the forecasts are of active regions, and no flare of the list has one; name its "
            "column, -P event_columns=region=COLUMN,..., or pass -P by=disk"
        )


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


LONG_TERM, PERSISTENCE = "climatology long-term", "persistence"


def prior_name(days: int) -> str:
    """Return the name of the climatology of the days before."""
    return f"climatology {days} d"


def reference_forecasts(
    samples: Samples, event: str, flares: FlareList | None, *, days: int
) -> dict[str, FloatArray]:
    """Return the probabilities of the references, (N,) each, from what was known at each time.

    Climatology is the event rate of the windows that had ended at the time of the forecast: of
    those of the last ``days``, and of all in the list before the first forecast (where it reaches
    back as many days). Persistence repeats the outcome of the last such window as 0 or 1. With a
    flare list for the full disk, windows follow each other without a gap up to the time of the
    forecast; otherwise they are those of the samples. Where there is none before,
    climatology takes the rate of all samples, and persistence takes climatology.
    """
    if flares is None or samples.by_region:
        return _from_samples(samples, event, days)
    rate = float(samples.outcomes[event].mean())
    n_before = max(1, int(np.timedelta64(days, "D") / samples.window))
    prior = _prior_rate(flares, event, samples.times, samples.window, n_before)
    last = _prior_rate(flares, event, samples.times, samples.window, 1)
    forecasts = {prior_name(days): np.where(np.isnan(prior), rate, prior)}
    n_all = int((samples.times[0] - flares.begins) / samples.window)
    if n_all >= n_before:
        first = samples.times[:1]
        long_term = _prior_rate(flares, event, first, samples.window, n_all)
        forecasts[LONG_TERM] = np.full(len(samples), long_term[0])
    forecasts[PERSISTENCE] = np.where(np.isnan(last), forecasts[prior_name(days)], last)
    return forecasts


def _prior_rate(
    flares: FlareList, event: str, times: Times, window: np.timedelta64, n: int
) -> FloatArray:
    """Return the event rate of the ``n`` windows before each time, NaN where the list has none."""
    total, known = np.zeros(len(times)), np.zeros(len(times))
    for k in range(1, n + 1):
        starts = times - k * window
        covered = starts >= flares.begins
        if not covered.any():
            break
        total += flares.outcomes(event, starts, window) & covered
        known += covered
    rate = np.full(len(times), np.nan)
    np.divide(total, known, out=rate, where=known > 0)
    return rate


def _from_samples(samples: Samples, event: str, days: int) -> dict[str, FloatArray]:
    outcomes = samples.outcomes[event]
    ends = samples.starts + samples.window
    order = np.argsort(ends, kind="stable")
    counted = np.append(0, np.cumsum(outcomes[order]))
    last = np.searchsorted(ends[order], samples.times, side="right")
    first = np.searchsorted(ends[order], samples.times - np.timedelta64(days, "D"), side="right")
    n = last - first
    rate = float(outcomes.mean())
    prior = np.where(n > 0, (counted[last] - counted[first]) / np.maximum(n, 1), rate)
    persistent = prior.copy()
    for region in np.unique(samples.regions):
        rows = np.flatnonzero(samples.regions == region)
        persistent[rows] = _last_outcome(
            samples.times[rows], ends[rows], outcomes[rows], otherwise=prior[rows]
        )
    return {prior_name(days): prior, PERSISTENCE: persistent}


def _last_outcome(
    times: Times, ends: Times, outcomes: BoolArray, *, otherwise: FloatArray
) -> FloatArray:
    """Return the outcome of the last window that had ended at each time."""
    order = np.argsort(ends, kind="stable")
    place = np.searchsorted(ends[order], times, side="right") - 1
    last = outcomes[order][np.maximum(place, 0)].astype(np.float64)
    return np.where(place >= 0, last, otherwise)
