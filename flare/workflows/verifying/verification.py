"""Score all methods of a set of samples, and the references; name what is too good to be true."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from flare.config.verify import VerifyConfig
from flare.errors import InputInvalid
from flare.goes import QUIET_FLUX
from flare.verification.contingency import best_threshold, contingency_table, true_skill_statistic
from flare.verification.inputs import BoolArray, FloatArray
from flare.verification.probabilistic import brier_skill_score, roc_area
from flare.verification.scores import FLUX, Score, flux_scores
from flare.workflows.verifying.flares import FlareList
from flare.workflows.verifying.samples import Samples, prior_name, reference_forecasts
from flare.workflows.verifying.scoring import (
    ALL_EVENTS,
    Filled,
    MonthScores,
    Resamples,
    Scores,
    all_event_values,
    event_values,
    month_scores,
    paired_scores,
    resample,
)

#: Above this Brier skill score nobody has forecast flares: the best of 19 operational methods in
#: 2016-2017 reach 0.35 at C1.0 and 0.44 at M1.0.
TOO_SKILFUL = 0.9

#: Digits of a threshold that a person chose.
_ROUND_DIGITS = 3


@dataclass(frozen=True)
class Verification:
    """Scores of methods and references.

    ``scores`` are by event (``all`` for those over all events, ``flux``) and method, ``pairs`` by
    event and pair, first minus second. ``scored`` has the probabilities and rows that were scored,
    by event.
    ``suspect`` are the reasons to distrust a method, by method. ``groups`` is the number of blocks
    or regions that were resampled.
    """

    samples: Samples
    config: VerifyConfig
    scored: dict[str, Filled]
    scores: dict[str, dict[str, Scores]]
    pairs: dict[str, dict[tuple[str, str], Scores]]
    months: list[MonthScores]
    suspect: dict[str, list[str]]
    groups: int

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in their order in the files."""
        return self.samples.methods

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the reference forecasts."""
        names = next(iter(self.scored.values())).probability
        return tuple(name for name in names if name not in self.methods)

    @property
    def events(self) -> tuple[str, ...]:
        """The events, from the weakest to the strongest."""
        return tuple(self.scored)

    @property
    def climatology(self) -> str:
        """The name of the climatology of the days before."""
        return prior_name(self.config.climatology_days)

    def get(self, event: str, method: str, name: str) -> Score:
        """Return one score; raise KeyError where there is none."""
        for score in self.scores[event][method]:
            if score.name == name:
                return score
        raise KeyError(name)

    def against(self, event: str, other: str) -> dict[str, Scores]:
        """Return the differences of all others from one, by their names."""
        differences = {}
        for (one, two), scores in self.pairs[event].items():
            if two == other:
                differences[one] = scores
            elif one == other:
                differences[two] = tuple(
                    replace(score, value=-score.value, low=-score.high, high=-score.low)
                    for score in scores
                )
        return differences


def verify(samples: Samples, flares: FlareList | None, config: VerifyConfig) -> Verification:
    """Score every method and reference, with intervals, and compare all pairs."""
    resamples = resample(samples, config)
    climatology = prior_name(config.climatology_days)
    scored, scores, pairs = {}, {}, {}
    months: list[MonthScores] = []
    suspect: dict[str, list[str]] = {}
    for event, of_methods in samples.probabilities.items():
        references = reference_forecasts(samples, event, flares, days=config.climatology_days)
        filled = apply_missing_rule(of_methods, references, config.missing, event)
        outcomes = samples.outcomes[event]
        scored[event] = filled
        scores[event] = _event_scores(
            event, outcomes, filled, climatology, resamples, config.threshold
        )
        pairs[event] = paired_scores(event, outcomes, filled, resamples, config.threshold)
        months += month_scores(event, samples, filled, climatology, config)
        for name in of_methods:
            rows = filled.rows[name]
            for reason in screen(outcomes[rows], filled.probability[name][rows], config.threshold):
                suspect.setdefault(name, []).append(f"{event}: {reason}")
    if samples.observed_flux is not None:
        scores[FLUX] = _flux_scores(samples, samples.observed_flux, resamples)
    if len(scored) > 1:
        scores[ALL_EVENTS] = _all_scores(samples, scored, resamples, config.threshold)
    return Verification(
        samples=samples,
        config=config,
        scored=scored,
        scores=scores,
        pairs=pairs,
        months=months,
        suspect=suspect,
        groups=resamples.counts.shape[1],
    )


def apply_missing_rule(
    of_methods: Mapping[str, FloatArray],
    references: Mapping[str, FloatArray],
    rule: str,
    event: str,
) -> Filled:
    """Decide which samples are scored where methods lack forecasts.

    ``drop``: each method is scored on the samples that it has. ``climatology``: its gaps count as
    the first reference. ``common``: the samples that all methods have.

    Raises InputInvalid: there is no common sample.
    """
    forecasts = {**of_methods, **references}
    there = {name: np.isfinite(values) for name, values in forecasts.items()}
    missing = {name: int(np.count_nonzero(~rows)) for name, rows in there.items()}
    if rule == "climatology":
        climatology = next(iter(references.values()))
        filled = {name: np.where(there[name], v, climatology) for name, v in forecasts.items()}
        return Filled(filled, dict.fromkeys(forecasts, np.arange(len(climatology))), missing)
    if rule == "common":
        common = np.flatnonzero(np.logical_and.reduce(list(there.values())))
        if not len(common):
            raise InputInvalid(
                f"no sample has a forecast of {event} by all {len(of_methods)} methods; pass "
                "-P missing=drop, or choose some with -P methods="
            )
        return Filled(forecasts, dict.fromkeys(forecasts, common), missing)
    return Filled(forecasts, {name: np.flatnonzero(of) for name, of in there.items()}, missing)


def _event_scores(
    event: str,
    outcomes: BoolArray,
    filled: Filled,
    climatology: str,
    resamples: Resamples,
    threshold: float,
) -> dict[str, Scores]:
    scores = {}
    for name, rows in filled.rows.items():
        observed = outcomes[rows]
        chance, reference = (filled.probability[of][rows] for of in (name, climatology))
        values_of = partial(event_values, observed, chance, reference, threshold=threshold)
        scores[name] = resamples.scores(event, rows, observed, values_of)
    return scores


def _flux_scores(samples: Samples, observed: FloatArray, resamples: Resamples) -> dict[str, Scores]:
    """Return the scores of forecast fluxes; those of an interval where there is one."""
    scores = {}
    for name, (log10_flux, lower, upper) in samples.fluxes.items():
        rows = np.flatnonzero(np.isfinite(log10_flux) & np.isfinite(observed))
        has_interval = bool(np.isfinite(lower[rows] + upper[rows]).all())
        ends = (lower, upper) if has_interval else (log10_flux, log10_flux)
        values_of = partial(
            flux_scores,
            observed[rows],
            log10_flux[rows],
            lower=ends[0][rows],
            upper=ends[1][rows],
            factor=1.0,
        )
        every = resamples.scores(FLUX, rows, observed[rows] > QUIET_FLUX, values_of)
        scores[name] = tuple(
            one for one in every if has_interval or not one.name.startswith("interval")
        )
    return scores


def _all_scores(
    samples: Samples, scored: Mapping[str, Filled], resamples: Resamples, threshold: float
) -> dict[str, Scores]:
    """Return the scores over all events of the methods that forecast all of them."""
    outcomes = np.column_stack([samples.outcomes[event] for event in scored])
    scores = {}
    for name in next(iter(scored.values())).rows:
        of_events = [of for of in scored.values() if name in of.rows]
        forecast = np.zeros((len(samples), len(scored)), dtype=np.bool_)
        for k, of in enumerate(of_events):
            forecast[of.rows[name], k] = True
        rows = np.flatnonzero(forecast.all(axis=1))
        if not len(rows):
            continue
        chances = np.column_stack([of.probability[name][rows] for of in of_events])
        values_of = partial(all_event_values, outcomes[rows], chances, threshold=threshold)
        reached = np.asarray(outcomes[rows].any(axis=1))
        scores[name] = resamples.scores(ALL_EVENTS, rows, reached, values_of)
    return scores


def screen(observed: BoolArray, probability: FloatArray, threshold: float) -> list[str]:
    """Return reasons to distrust the forecasts of one event: outcomes and probabilities (n,).

    ``threshold`` is the probability at and above which the event counts as forecast.
    """
    n_events = int(np.count_nonzero(observed))
    if n_events == len(observed):
        return ["there is no quiet sample: every outcome is an event"]
    reasons = []
    if np.array_equal(probability, observed):
        reasons.append("probabilities are the outcomes themselves")
    elif n_events >= 5:  # of fewer a perfect order is chance
        if roc_area(observed, probability) == 1:
            reasons.append("probabilities order events and quiet samples without an error")
        skill = float(brier_skill_score(observed, probability))
        if skill > TOO_SKILFUL:
            reasons.append(f"a Brier skill score of {skill:.3f} is above all known forecasts")
    if n_events and _is_fitted(observed, probability, threshold):
        reasons.append(
            f"the threshold {threshold!r} has the highest TSS of these samples to the last digit: "
            "it was chosen on them"
        )
    return reasons


def _is_fitted(observed: BoolArray, probability: FloatArray, threshold: float) -> bool:
    """Say whether an odd threshold has the highest TSS that any has."""
    if threshold == round(threshold, _ROUND_DIGITS):
        return False
    own, highest = (
        float(true_skill_statistic(contingency_table(observed, probability >= one)))
        for one in (threshold, best_threshold(observed, probability))
    )
    return own == highest
