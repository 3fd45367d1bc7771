"""Calibrate the probability of an event: the methods, their fits, and the choice of one.

Each event is calibrated on its own. Events of one distribution get one map together, log lambda' =
offset + slope log lambda, which keeps them one distribution.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from flare.errors import ConfigInvalid, ForecasterInvalid, VerificationInvalid
from flare.flux_curve import log_rates, probabilities
from flare.verification.inputs import BoolArray, FloatArray, outcome_array, probability_array

#: Those of a single event, from the simplest to the most flexible.
METHODS = ("none", "temperature", "platt", "isotonic")

#: That of all events of one distribution together: it keeps them one distribution.
RATE = "rate"

#: With fewer events, or fewer non-events, a method is not tried. Isotonic regression has as many
#: free numbers as it finds steps: with some twenty events it fits their luck. Niculescu-Mizil and
#: Caruana 2005, doi:10.1145/1102351.1102430, want about a thousand samples for it.
FEWEST_EVENTS = {"temperature": 5, "platt": 5, "isotonic": 100, RATE: 10}

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "temperature": ("temperature", "floor"),
    "platt": ("slope", "offset", "floor"),
    "isotonic": ("issued", "calibrated", "floor"),
    RATE: ("slope", "offset", "floor"),
}

#: The floor of a map of log rates.
_RATE_FLOOR = 1e-9
#: How strongly its slope and offset are held to 1 and 0, as a number of samples.
_PRIOR = 5.0
_LEAST_SLOPE = 0.1


@dataclass(frozen=True)
class Calibration:
    """A rising function from a model's probability to the calibrated one.

    ``none`` changes nothing. ``temperature`` divides the log odds by ``temperature``; 2 halves the
    confidence (Guo et al. 2017, arXiv:1706.04599). ``platt`` takes ``slope`` times the log odds
    plus ``offset`` (Platt 1999, Advances in Large Margin Classifiers, 61). ``isotonic`` runs
    straight between the knots ``issued`` and ``calibrated``, and is constant beyond the outer ones
    (Zadrozny and Elkan 2002, doi:10.1145/775047.775151). ``rate`` takes ``slope`` times the log
    rate, log(-log(1 - p)), plus ``offset``: the same one for all events of a distribution.

    All but ``none`` keep the probability, before and after, within ``floor`` and 1 - ``floor``.

    Raises ForecasterInvalid: no such method, or parameters that give no rising function within
    0..1.
    """

    method: str = "none"
    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse impossible values, as a damaged folder has them."""
        if self.method not in _PARAMETERS:
            raise ForecasterInvalid(
                f"no calibration {self.method!r}; this version knows {', '.join(_PARAMETERS)}"
            )
        if set(self.parameters) != set(_PARAMETERS[self.method]):
            raise ForecasterInvalid(
                f"the calibration {self.method} has the parameters {sorted(self.parameters)}; "
                f"wanted {sorted(_PARAMETERS[self.method])}"
            )
        values = [value for numbers in self.parameters.values() for value in numbers]
        if not (all(map(math.isfinite, values)) and self._is_rising()):
            raise ForecasterInvalid(
                f"the calibration {self.method} has impossible values: {self.parameters}"
            )

    def _is_rising(self) -> bool:
        if self.method == "none":
            return True
        values = self.parameters
        floor, single = values["floor"], [len(numbers) == 1 for numbers in values.values()]
        if self.method != "isotonic":
            steepness = values["temperature" if self.method == "temperature" else "slope"]
            return all(single) and 0 < floor[0] < 0.5 and steepness[0] > 0
        raw, calibrated = values["issued"], values["calibrated"]
        return (
            len(floor) == 1
            and 0 < floor[0] < 0.5
            and 0 < len(raw) == len(calibrated)
            and all(0 <= value <= 1 for value in (*raw, *calibrated))
            and all(left < right for left, right in pairwise(raw))
            and all(low <= high for low, high in pairwise(calibrated))
        )

    def apply(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities, of any shape."""
        if self.method == "none":
            return probability
        values = self.parameters
        floor = values["floor"][0]
        inside = np.clip(probability, floor, 1 - floor)
        if self.method == "isotonic":
            moved = np.interp(inside, values["issued"], values["calibrated"])
        elif self.method == RATE:
            moved = probabilities(values["slope"][0] * log_rates(inside) + values["offset"][0])
        elif self.method == "platt":
            moved = _sigmoid(values["slope"][0] * logit(inside) + values["offset"][0])
        else:
            moved = _sigmoid(logit(inside) / values["temperature"][0])
        return np.clip(moved, floor, 1 - floor)


def logit(probability: FloatArray) -> FloatArray:
    """Return the log odds of probabilities strictly between 0 and 1."""
    return np.asarray(np.log(probability) - np.log1p(-probability), dtype=np.float64)


def _sigmoid(log_odds: FloatArray) -> FloatArray:
    # By the hyperbolic tangent, which does not overflow.
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)), dtype=np.float64)


def fit_calibration(method: str, probability: FloatArray, outcomes: BoolArray) -> Calibration:
    """Fit one method to N forecasts and their outcomes.

    The floor is 1 / (N + 2), Laplace's rule of succession: what never happened in N samples may
    still happen in the next one. Platt and temperature are fitted to Platt's smoothed outcomes, so
    that a few events that happen to be separated do not give certainty. Forecasts that run the
    wrong way, stronger where less happens, are left as they are.

    Raises VerificationInvalid: probabilities outside 0..1, outcomes that are not booleans, or are
    all equal.
    """
    outcomes = outcome_array("outcomes", outcomes)
    probability = probability_array("probability", probability, outcomes.shape)
    if method not in METHODS:
        raise ConfigInvalid(f"no calibration {method!r}; choose one of {', '.join(METHODS)}")
    if method == "none":
        return Calibration()
    if outcomes.all() or not outcomes.any():
        raise VerificationInvalid("a calibration wants events and non-events; use method none")
    floor = 1 / (len(outcomes) + 2)
    inside = np.clip(probability, floor, 1 - floor)
    if method == "isotonic":
        parameters = _steps(inside, outcomes)
    else:
        slope, offset = _line_in_log_odds(inside, outcomes, offset=method == "platt")
        if slope <= 0:
            return Calibration()
        parameters = (
            {"slope": (slope,), "offset": (offset,)}
            if method == "platt"
            else {"temperature": (1 / slope,)}
        )
    return Calibration(method, {**parameters, "floor": (floor,)})


def _line_in_log_odds(
    probability: FloatArray, outcomes: BoolArray, *, offset: bool
) -> tuple[float, float]:
    """Fit slope and offset by maximum likelihood on Platt's smoothed outcomes."""
    from sklearn.linear_model import LogisticRegression

    n, events = len(outcomes), np.count_nonzero(outcomes)
    objective = np.where(outcomes, (events + 1) / (events + 2), 1 / (n - events + 2))
    # A smoothed outcome is both outcomes at once, each with its share.
    line = LogisticRegression(C=np.inf, fit_intercept=offset, max_iter=1000)
    with threadpool_limits(1, user_api="blas"):  # so small a fit only waits for other threads
        line.fit(
            np.tile(logit(probability), 2)[:, None],
            np.repeat([True, False], n),
            sample_weight=np.concatenate([objective, 1 - objective]),
        )
    return float(line.coef_[0, 0]), float(line.intercept_[0]) if offset else 0.0


def _steps(probability: FloatArray, outcomes: BoolArray) -> dict[str, tuple[float, ...]]:
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    steps.fit(probability, outcomes.astype(np.float64))
    return {
        "issued": tuple(steps.X_thresholds_.tolist()),
        "calibrated": tuple(steps.y_thresholds_.tolist()),
    }


def cross_calibrated(
    method: str, probability: FloatArray, outcomes: BoolArray, folds: NDArray[np.integer]
) -> FloatArray:
    """Calibrate the forecasts of each fold by what was fitted on all the others."""
    if method == "none":
        return probability  # of a single fold, too, which leaves none to fit on
    calibrated = np.empty(len(probability))
    for fold in np.unique(folds):
        left = folds == fold
        fitted = fit_calibration(method, probability[~left], outcomes[~left])
        calibrated[left] = fitted.apply(probability[left])
    return calibrated


def choose_calibration(
    probability: FloatArray,
    outcomes: BoolArray,
    folds: NDArray[np.integer],
    *,
    regions: NDArray[np.integer] | None = None,
) -> Calibration:
    """Choose a method by the Brier score on folds it was not fitted on; return it fitted on all.

    From the simplest to the most flexible, the next one is chosen where it lowers the score of the
    best so far by more than one standard error of the difference: of methods that are as good the
    simplest, and nothing at all where nothing is to be gained but luck. A method is not tried with
    fewer events or non-events than ``FEWEST_EVENTS``, nor where a fold holds all there are.

    ``probability`` and ``outcomes`` are out of fold, of one event, (N,). ``folds`` say which fold
    each sample belongs to, (N,); no active region is in two. ``regions`` are the active regions,
    (N,): gains of one region go together in the standard error; None for independent samples.
    """
    rarer = min(np.count_nonzero(outcomes), np.count_nonzero(~outcomes))
    if any(len(np.unique(outcomes[folds != fold])) < 2 for fold in np.unique(folds)):
        return Calibration()
    chosen, lowest = METHODS[0], np.square(probability - outcomes)
    for method in METHODS[1:]:
        if rarer < FEWEST_EVENTS[method]:
            continue
        calibrated = cross_calibrated(method, probability, outcomes, folds)
        errors = np.square(calibrated - outcomes)
        gain = lowest - errors
        if gain.mean() > _standard_error(gain, regions):
            chosen, lowest = method, errors
    return fit_calibration(chosen, probability, outcomes)


def _standard_error(gain: FloatArray, regions: NDArray[np.integer] | None) -> float:
    """Return that of the mean gain (N,); infinite where there is one region only.

    Sums over clusters: Cameron & Miller 2015, doi:10.3368/jhr.50.2.317, for a mean.
    """
    index = np.arange(len(gain)) if regions is None else np.unique(regions, return_inverse=True)[1]
    sums = np.bincount(index, gain - gain.mean())
    if len(sums) < 2:
        return float("inf")
    spread = np.square(sums).sum() * len(sums) / (len(sums) - 1)
    return float(np.sqrt(spread) / len(gain))


def choose_rate_calibration(
    probability: FloatArray,
    outcomes: BoolArray,
    folds: NDArray[np.integer],
    *,
    regions: NDArray[np.integer] | None = None,
) -> Calibration:
    """Return the map fitted on all samples, or none where it gains nothing on folds left out.

    A gain is a lower negative log-likelihood of the class, by more than one standard error.

    ``probability`` and ``outcomes`` are (N, E), of the events of a distribution, out of fold; the
    others are those of ``choose_calibration``.
    """
    outcome = outcomes[:, 0]
    if min(np.count_nonzero(outcome), np.count_nonzero(~outcome)) < FEWEST_EVENTS[RATE]:
        return Calibration()
    rates, classes = log_rates(probability), outcomes.sum(axis=1)
    gain = np.zeros(len(classes))
    for fold in np.unique(folds):
        left = folds == fold
        if not 0 < outcome[~left].mean() < 1:
            return Calibration()
        slope, offset = _fit_rates(rates[~left], classes[~left])
        before = _log_loss(rates[left], classes[left])
        gain[left] = before - _log_loss(slope * rates[left] + offset, classes[left])
    if not gain.mean() > _standard_error(gain, regions):
        return Calibration()
    slope, offset = _fit_rates(rates, classes)
    return Calibration(RATE, {"slope": (slope,), "offset": (offset,), "floor": (_RATE_FLOOR,)})


def cross_rate_calibrated(
    probability: FloatArray, outcomes: BoolArray, folds: NDArray[np.integer]
) -> FloatArray:
    """Map the forecasts (N, E) of each fold by what was fitted on all the others."""
    rates, classes = log_rates(probability), outcomes.sum(axis=1)
    mapped = rates.copy()
    for fold in np.unique(folds):
        left = folds == fold
        if not left.all():
            slope, offset = _fit_rates(rates[~left], classes[~left])
            mapped[left] = slope * rates[left] + offset
    return probabilities(mapped)


def _fit_rates(rates: FloatArray, classes: NDArray[np.intp]) -> tuple[float, float]:
    """Return slope and offset of the highest likelihood, held weakly to 1 and 0."""
    from scipy.optimize import minimize

    def cost(given: FloatArray) -> float:
        held = _PRIOR * (np.log(max(given[0], _LEAST_SLOPE)) ** 2 + given[1] ** 2)
        return float(_log_loss(given[0] * rates + given[1], classes).sum() + held)

    fitted = minimize(
        cost, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(_LEAST_SLOPE, 10.0), (-10.0, 10.0)]
    )
    return float(fitted.x[0]), float(fitted.x[1])


def _log_loss(rates: FloatArray, classes: NDArray[np.intp]) -> FloatArray:
    """Return -log P(class), (N,), where class k of 0..E reached k of the E events."""
    rate = np.exp(np.clip(rates, -50, 4))
    edges = np.pad(rate, [(0, 0), (1, 1)], constant_values=((0, 0), (np.inf, 0)))
    rows = np.arange(len(classes))
    below, above = edges[rows, classes], edges[rows, classes + 1]
    chance = np.exp(-above) * -np.expm1(above - below)
    return np.asarray(-np.log(np.maximum(chance, _RATE_FLOOR)), dtype=np.float64)
