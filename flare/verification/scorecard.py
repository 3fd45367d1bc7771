"""All scores of one set of forecasts at once, each with its interval over active regions."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.goes import HEADLINE_EVENT, LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.verification.bootstrap import interval, region_weights
from flare.verification.flux import class_confusion
from flare.verification.inputs import BoolArray, FloatArray, number_array, probability_array
from flare.verification.named_scores import event_scores, flux_scores

#: Where a score belongs that is no event's.
FLUX = "flux"


@dataclass(frozen=True)
class Issued:
    """What a forecaster issued for N samples.

    ``log10_flux`` with ``lower`` and ``upper`` is log10 of the peak flux in W m^-2, (N,), on the
    scale of the labels; ``probability`` is (N, E) in the order of ``events``; ``thresholds`` maps
    each event to the probability at and above which it counts as forecast.
    """

    log10_flux: FloatArray
    lower: FloatArray
    upper: FloatArray
    probability: FloatArray
    events: tuple[str, ...]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Observed:
    """What happened: ``peak_flux`` in W m^-2 as labelled and NOAA ``active_region``, both (N,)."""

    peak_flux: FloatArray
    active_region: NDArray[np.integer]


@dataclass(frozen=True)
class Score:
    """One score with its interval; NaN where it is undefined.

    ``event`` is a class, or ``"flux"`` for errors of the forecast flux, where ``n_events`` counts
    the samples that are not quiet.
    """

    event: str
    name: str
    value: float
    low: float
    high: float
    n: int
    n_events: int


def json_safe(score: Score) -> dict[str, object]:
    """Return a score as JSON values, an undefined number as None."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(score).items()
    }


@dataclass(frozen=True)
class Scorecard:
    """The scores of one forecaster on one set of samples.

    ``confusion`` counts classes, (5, 5), observed in rows. ``scale`` is the label scale on which
    the events are meant, ``level`` that of the intervals.
    """

    scores: tuple[Score, ...]
    confusion: NDArray[np.intp]
    thresholds: dict[str, float]
    scale: str
    level: float
    n_resamples: int
    n_active_regions: int

    def samples(self) -> tuple[int, int, str, float]:
        """Return samples, active regions, scale and level: equal for comparable scorecards."""
        return self.scores[0].n, self.n_active_regions, self.scale, self.level

    @property
    def events(self) -> tuple[str, ...]:
        """The events that were scored, in the order in which they were issued."""
        return tuple(self.thresholds)

    def get(self, event: str, name: str) -> Score:
        """Return one score.

        Raises
        ------
        VerificationInvalid
            The scorecard has no score of that name for that event (or ``"flux"``).
        """
        for score in self.scores:
            if (score.event, score.name) == (event, name):
                return score
        choices = sorted({score.name for score in self.scores if score.event == event})
        raise VerificationInvalid(
            f"no score {name!r} for {event!r}; "
            + (f"choose from {choices}" if choices else f"choose from {[*self.events, FLUX]}")
        )

    def value(self, event: str, name: str) -> float:
        """Return the value of one score, as ``get`` does."""
        return self.get(event, name).value

    def as_dict(self) -> dict[str, object]:
        """Return everything as JSON values, an undefined score as None."""
        return {
            "scale": self.scale,
            "level": self.level,
            "n_resamples": self.n_resamples,
            "n_active_regions": self.n_active_regions,
            "thresholds": dict(self.thresholds),
            "confusion": self.confusion.tolist(),
            "scores": [json_safe(score) for score in self.scores],
        }

    def metrics(self, split: str) -> dict[str, float]:
        """Return ``split/event/score``, with ``_low`` and ``_high``, and ``split/event/n_events``.

        Undefined scores are left out.
        """
        named: dict[str, float] = {}
        for score in self.scores:
            path = f"{split}/{score.event}/"
            named[f"{path}n_events"] = float(score.n_events)
            named[f"{path}{score.name}"] = score.value
            named[f"{path}{score.name}_low"] = score.low
            named[f"{path}{score.name}_high"] = score.high
        # The headline first: MLflow's compare page opens with the first metric it is given.
        headline = f"{split}/{HEADLINE_EVENT}/brier_skill_score"
        ordered = sorted(named.items(), key=lambda item: item[0] != headline)
        return {name: value for name, value in ordered if not math.isnan(value)}


def score_forecasts(
    issued: Issued,
    observed: Observed,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = 0.95,
) -> Scorecard:
    """Compute every score of every event and of the flux.

    Contingency scores are at the issued threshold; the TSS and HSS at a probability of 0.5 are
    beside them under ``..._at_0.5``. The Brier skill score is against the event rate of these
    samples.

    Parameters
    ----------
    n_resamples
        How often active regions are drawn for the intervals.
    seed
        Of the resampling; the same for all forecasters that are to be compared.
    scale
        One of ``LABEL_SCALES``: on which scale events and classes are meant. Labels and forecast
        fluxes are both multiplied by its factor.
    level
        Of the intervals.

    Raises
    ------
    VerificationInvalid
        There are no samples, lengths differ, a number is NaN, a probability outside 0..1, or an
        event without a threshold.
    """
    _check(issued, observed, scale)
    weights = _whole_and_resampled(observed, n_resamples, seed)
    scores: list[Score] = []
    for event in (*issued.events, FLUX):
        outcomes, named = _named_values(issued, observed, event, scale, weights)
        scores += [_score(event, name, outcomes, named[name], level) for name in named]
    factor = LABEL_SCALES[scale]
    return Scorecard(
        scores=tuple(scores),
        confusion=class_confusion(observed.peak_flux * factor, 10**issued.log10_flux * factor),
        thresholds={event: float(issued.thresholds[event]) for event in issued.events},
        scale=scale,
        level=level,
        n_resamples=n_resamples,
        n_active_regions=len(np.unique(observed.active_region)),
    )


def paired_difference(
    issued_a: Issued,
    issued_b: Issued,
    observed: Observed,
    *,
    event: str,
    score_name: str,
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = 0.95,
) -> Score:
    """Return how much higher a score of ``issued_a`` is than that of ``issued_b``.

    Both are scored on the same resamples, so the interval is that of the difference: where it does
    not hold 0, the two differ. The result is named ``<score_name>_difference``.

    Parameters
    ----------
    event
        A class that both issued, or ``"flux"``.
    score_name
        As in a Scorecard. The others are those of ``score_forecasts``.

    Raises
    ------
    VerificationInvalid
        As ``score_forecasts``, or there is no such event or score.
    """
    for issued in (issued_a, issued_b):
        _check(issued, observed, scale)
        if event not in (*issued.events, FLUX):
            raise VerificationInvalid(f"no event {event!r}; choose from {[*issued.events, FLUX]}")
    weights = _whole_and_resampled(observed, n_resamples, seed)
    outcomes, named_a = _named_values(issued_a, observed, event, scale, weights)
    _, named_b = _named_values(issued_b, observed, event, scale, weights)
    if score_name not in named_a:
        raise VerificationInvalid(f"no score {score_name!r}; choose from {sorted(named_a)}")
    difference = named_a[score_name] - named_b[score_name]
    return _score(event, f"{score_name}_difference", outcomes, difference, level)


def _whole_and_resampled(observed: Observed, n_resamples: int, seed: int) -> FloatArray:
    """Return weights (1 + R, N): every sample once, then the resamples.

    So that each score is computed once, for the value and its interval alike.
    """
    drawn = region_weights(observed.active_region, n_resamples=n_resamples, seed=seed)
    return np.vstack([np.ones((1, drawn.shape[1])), drawn])


def _named_values(
    issued: Issued, observed: Observed, event: str, scale: str, weights: FloatArray
) -> tuple[BoolArray, dict[str, FloatArray]]:
    """Return what ``n_events`` counts, (N,), and the scores of one event or the flux, (1 + R,)."""
    if event == FLUX:
        return observed.peak_flux > QUIET_FLUX, flux_scores(
            observed.peak_flux,
            issued.log10_flux,
            lower=issued.lower,
            upper=issued.upper,
            factor=LABEL_SCALES[scale],
            weights=weights,
        )
    outcomes = event_outcomes(observed.peak_flux, (event,), scale=scale)[:, 0]
    probability = issued.probability[:, issued.events.index(event)]
    return outcomes, event_scores(
        outcomes, probability, threshold=issued.thresholds[event], weights=weights
    )


def _score(event: str, name: str, outcomes: BoolArray, values: FloatArray, level: float) -> Score:
    """Make a Score of the value on the whole sample and the resampled ones, (1 + R,)."""
    low, high = interval(values[1:], level)
    n_events = int(np.count_nonzero(outcomes))
    return Score(event, name, float(values[0]), low, high, len(outcomes), n_events)


def _check(issued: Issued, observed: Observed, scale: str) -> None:
    """Raise VerificationInvalid unless forecasts and observations can be scored."""
    if scale not in LABEL_SCALES:
        raise VerificationInvalid(f"no label scale {scale!r}; choose from {list(LABEL_SCALES)}")
    n = np.size(observed.peak_flux)
    if n == 0:
        raise VerificationInvalid("no samples to score; the split is empty")
    flux = number_array("peak_flux", observed.peak_flux, (n,))
    if observed.peak_flux.dtype != np.float64:
        # float32 has no 1e-5: an M1.0 would be scored as a C9.9.
        raise VerificationInvalid(f"peak_flux is {observed.peak_flux.dtype}; wanted float64")
    if flux.min() <= 0:
        raise VerificationInvalid(f"a peak_flux of {flux.min()} W m^-2; quiet is {QUIET_FLUX}")
    if np.shape(observed.active_region) != (n,):
        raise VerificationInvalid(
            f"active_region has shape {np.shape(observed.active_region)}; wanted {(n,)}"
        )
    for name in ("log10_flux", "lower", "upper"):
        number_array(name, getattr(issued, name), (n,))
    if np.any(issued.lower > issued.upper):
        raise VerificationInvalid("an interval whose lower end is above its upper end")
    probability_array("probability", issued.probability, (n, len(issued.events)))
    for event in issued.events:
        if event not in issued.thresholds:
            raise VerificationInvalid(
                f"no threshold for {event}; wanted one for each of {list(issued.events)}"
            )
        probability_array(f"threshold of {event}", issued.thresholds[event], ())
