"""Score all methods of a set of samples, and the references."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from flare.goes import QUIET_FLUX
from flare.verification.inputs import FloatArray
from flare.verification.scores import FLUX, Score, flux_scores
from flare.workflows.verifying.flares import FlareList
from flare.workflows.verifying.references import prior_name, reference_forecasts
from flare.workflows.verifying.samples import Samples
from flare.workflows.verifying.scoring import (
    ALL_EVENTS,
    Filled,
    Resamples,
    all_event_values,
    apply_missing_rule,
    event_values,
    make_score,
    paired_scores,
    resample,
)
from flare.workflows.verifying.screening import screen

Pair = tuple[str, str]


@dataclass(frozen=True)
class ScoreRules:
    """How forecasts are scored: see ``VerifyConfig``."""

    missing: str
    threshold: float
    climatology_days: int
    bootstrap: str
    block_days: float
    resamples: int
    seed: int
    laplace: bool = False


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
    rules: ScoreRules
    methods: tuple[str, ...]
    references: tuple[str, ...]
    scored: dict[str, Filled]
    scores: dict[str, dict[str, tuple[Score, ...]]]
    pairs: dict[str, dict[Pair, tuple[Score, ...]]]
    suspect: dict[str, list[str]]
    groups: int

    @property
    def events(self) -> tuple[str, ...]:
        """The events, from the weakest to the strongest."""
        return tuple(self.scored)

    @property
    def climatology(self) -> str:
        """The name of the climatology of the days before."""
        return prior_name(self.rules.climatology_days)

    def get(self, event: str, method: str, name: str) -> Score:
        """Return one score; raise KeyError where there is none."""
        for score in self.scores[event][method]:
            if score.name == name:
                return score
        raise KeyError(name)

    def against(self, event: str, other: str) -> dict[str, tuple[Score, ...]]:
        """Return the differences of all others from one, by their names."""
        differences = {}
        for (one, two), scores in self.pairs[event].items():
            if two == other:
                differences[one] = scores
            elif one == other:
                differences[two] = tuple(_negative(score) for score in scores)
        return differences


def _negative(score: Score) -> Score:
    return Score(
        score.event, score.name, -score.value, -score.high, -score.low, score.n, score.n_events
    )


def verify(samples: Samples, flares: FlareList | None, rules: ScoreRules) -> Verification:
    """Score every method and reference, with intervals, and compare all pairs."""
    resamples = resample(
        samples,
        kind=rules.bootstrap,
        block_days=rules.block_days,
        n_resamples=rules.resamples,
        seed=rules.seed,
    )
    scored, scores, pairs = {}, {}, {}
    suspect: dict[str, list[str]] = {}
    for event, of_methods in samples.probabilities.items():
        references = reference_forecasts(samples, event, flares, days=rules.climatology_days)
        filled = apply_missing_rule(of_methods, references, rules.missing, event)
        observed = samples.outcomes[event]
        scored[event] = filled
        scores[event] = _event_scores(event, samples, filled, resamples, rules)
        pairs[event] = paired_scores(event, observed, filled, resamples, threshold=rules.threshold)
        for name in of_methods:
            rows = filled.rows[name]
            for reason in screen(
                observed[rows], filled.probability[name][rows], threshold=rules.threshold
            ):
                suspect.setdefault(name, []).append(f"{event}: {reason}")
    if samples.fluxes and samples.observed_flux is not None:
        scores[FLUX] = _flux_scores(samples, samples.observed_flux, resamples)
    if len(scored) > 1:
        scores[ALL_EVENTS] = _all_scores(samples, scored, resamples, rules)
    return Verification(
        samples=samples,
        rules=rules,
        methods=samples.methods,
        references=tuple(
            name for name in next(iter(scored.values())).probability if name not in samples.methods
        ),
        scored=scored,
        scores=scores,
        pairs=pairs,
        suspect=suspect,
        groups=resamples.counts.shape[1],
    )


def _event_scores(
    event: str, samples: Samples, filled: Filled, resamples: Resamples, rules: ScoreRules
) -> dict[str, tuple[Score, ...]]:
    climatology = filled.probability[prior_name(rules.climatology_days)]
    scores = {}
    for name, probability in filled.probability.items():
        rows = filled.rows[name]
        observed = samples.outcomes[event][rows]
        score = partial(
            event_values, observed, probability[rows], climatology[rows], threshold=rules.threshold
        )
        values = resamples.values(rows, score)
        scores[name] = tuple(make_score(event, one, v, observed) for one, v in values.items())
    return scores


def _flux_scores(
    samples: Samples, observed: FloatArray, resamples: Resamples
) -> dict[str, tuple[Score, ...]]:
    """Return the scores of forecast fluxes; those of an interval where there is one."""
    scores = {}
    for name, (log10_flux, lower, upper) in samples.fluxes.items():
        rows = np.flatnonzero(np.isfinite(log10_flux) & np.isfinite(observed))
        has_interval = bool(np.isfinite(lower[rows] + upper[rows]).all())
        ends = (lower, upper) if has_interval else (log10_flux, log10_flux)
        score = partial(
            flux_scores,
            observed[rows],
            log10_flux[rows],
            lower=ends[0][rows],
            upper=ends[1][rows],
            factor=1.0,
        )
        flaring = observed[rows] > QUIET_FLUX
        scores[name] = tuple(
            make_score(FLUX, one, v, flaring)
            for one, v in resamples.values(rows, score).items()
            if has_interval or not one.startswith("interval")
        )
    return scores


def _all_scores(
    samples: Samples, scored: Mapping[str, Filled], resamples: Resamples, rules: ScoreRules
) -> dict[str, tuple[Score, ...]]:
    """Return the scores over all events of the methods that forecast all of them."""
    events = list(scored)
    reached = np.column_stack([samples.outcomes[event] for event in events])
    names = [
        name
        for name in scored[events[0]].probability
        if all(name in of.probability for of in scored.values())
    ]
    scores = {}
    for name in names:
        rows = np.arange(len(samples))
        for of in scored.values():
            rows = np.intersect1d(rows, of.rows[name], assume_unique=True)
        if not len(rows):
            continue
        chances = np.column_stack([scored[event].probability[name][rows] for event in events])
        some = reached[rows]
        score = partial(all_event_values, some, chances, threshold=rules.threshold)
        values = resamples.values(rows, score)
        scores[name] = tuple(
            make_score(ALL_EVENTS, one, v, np.asarray(some.any(axis=1)))
            for one, v in values.items()
        )
    return scores
