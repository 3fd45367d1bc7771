"""A version that is worse on validation does not become Production unless somebody says why."""

import numpy as np
import pandas as pd
import pytest

from flare.config import PromoteConfig
from flare.errors import PromotionRefused
from flare.forecast import Forecast
from flare.goes import EVENTS, event_outcomes
from flare.tracking.promotions import promotion_history
from flare.tracking.registry import production_version, version_tags
from flare.tracking.runs import start
from flare.tracking.tags import (
    FINGERPRINT_TAG,
    ON_VALIDATION,
    OUT_OF_FOLD,
    POSTPROCESSING_TAG,
    SPLIT_TAG,
)
from flare.verification.inputs import Observations
from flare.verification.scorecard import score_forecasts
from flare.workflows import promote
from flare.workflows.fitting.registration import CHOICE_TAG
from flare.workflows.fitting.validation_forecasts import log_validation_forecasts

N_REGIONS, PER_REGION = 40, 3
DATA, SPLIT = "a" * 64, "b" * 16


def labels(first_region: int = 0) -> pd.DataFrame:
    """Return a validation split: every fourth region has M flares."""
    region = 11000 + first_region + np.repeat(np.arange(N_REGIONS), PER_REGION)
    flux = np.where(region % 4 == 0, 2e-5, 1e-9)
    ids = [f"{r}_2012_01_01_00_00_00_{k % PER_REGION}" for k, r in enumerate(region)]
    return pd.DataFrame({"id": ids, "active_region": region, "peak_flux": flux})


def forecasts(table: pd.DataFrame, skill: float) -> Forecast:
    """Return forecasts between climatology, 0, and perfect, 1."""
    flux = table["peak_flux"].to_numpy()
    outcomes = event_outcomes(flux).astype(float)
    probability = (1 - skill) * 0.25 + skill * outcomes
    log10_flux = skill * np.log10(flux) - (1 - skill) * 8
    thresholds = dict.fromkeys(EVENTS, 0.5)
    ends = (log10_flux - 1, log10_flux + 1)
    return Forecast(log10_flux, *ends, probability, EVENTS, thresholds)


@pytest.fixture
def register(make_version, request):
    """Return a function that registers a version of some skill; the first is number 1."""

    def make(
        skill: float,
        *,
        table: pd.DataFrame | None = None,
        data: str = DATA,
        with_forecasts: bool = True,
        postprocessing_data: str = OUT_OF_FOLD,
        split: str = SPLIT,
    ) -> int:
        table = labels() if table is None else table
        forecast = forecasts(table, skill)
        card = score_forecasts(forecast, Observations.from_table(table), n_resamples=100)
        value = card.value("M1.0", "brier_skill_score")
        with start("baseline", name="some") as run:
            run.log_metrics(card.metrics("validation"))
            if with_forecasts:
                log_validation_forecasts(run, card, forecast, table)
        tags = {FINGERPRINT_TAG: data, SPLIT_TAG: split, POSTPROCESSING_TAG: postprocessing_data}
        if not np.isnan(value):
            tags[CHOICE_TAG] = f"{value:.6f}"
        return make_version(request.node.name, tags, run.id)

    return make


@pytest.fixture
def promoting(request):
    def go(version: int | str, **given):
        settings = {"model_name": request.node.name, "version": str(version), "resamples": 200}
        return promote.run(PromoteConfig(**(settings | given)))

    return go


@pytest.fixture
def production(request):
    return lambda: production_version(request.node.name).version


QUIET = labels().assign(peak_flux=1e-9)
OTHER_LABELS = labels().assign(peak_flux=[3e-4, *labels()["peak_flux"][1:]])
OTHER_REGIONS = {"table": labels(first_region=4), "split": "c" * 16}
FLATTERED = {"postprocessing_data": ON_VALIDATION}
OTHER_DATA = {"data": "c" * 64}


def test_a_better_version_becomes_production_and_both_scores_are_reported_and_stored(
    register, promoting, production, request
):
    promoting(register(0.3))
    result = promoting(register(0.8))
    assert production() == 2
    text = "\n".join(result.lines())
    assert "validation BSS of M1.0 of the candidate 0.960 [" in text
    assert "of Production 0.510 [" in text
    assert "the candidate is better by +0.450 [+" in text
    assert "paired over 40 active regions, 120 samples with 30 events" in text
    first, second = promotion_history(request.node.name)
    assert first.scores["candidate"]["value"] == pytest.approx(0.51)
    assert set(second.scores) == {"candidate", "incumbent", "gain"}
    assert second.scores["gain"]["low"] == pytest.approx(result.comparison.gain.low)
    promoting("previous")  # which needs no comparison
    assert production() == 1


def test_a_version_that_is_significantly_worse_is_refused_until_there_is_a_reason(
    register, promoting, production, newest
):
    promoting(register(0.8))
    worse = register(0.3)
    with pytest.raises(PromotionRefused, match=r"version 2 is worse than Production.*force=REASON"):
        promoting(worse)
    assert production() == 1
    run = newest("promote")
    assert run.info.status == "FAILED"
    assert run.data.metrics["validation/M1.0/brier_skill_score/candidate"] == pytest.approx(0.51)
    assert run.data.metrics["validation/M1.0/brier_skill_score_difference/gain_high"] < 0
    result = promoting(worse, force="the better one needs a GPU")
    assert production() == 2
    assert version_tags(result.version)["flare.forced_because"] == "the better one needs a GPU"
    assert "forced: the better one needs a GPU" in result.because
    assert "is worse than Production" in result.because


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, FLATTERED, r"fitted on the validation regions \(folds=0\)"),
        ({}, OTHER_DATA, r"trained on different datasets.*force=REASON"),
        ({}, {"table": labels(first_region=1000)}, r"0 active regions in common"),
        ({"with_forecasts": False}, {}, r"no validation forecasts of 1 are stored"),
        ({}, {"table": OTHER_LABELS}, r"against different labels"),
        ({"table": QUIET}, {"table": QUIET}, r"cannot be compared"),
    ],
)
def test_a_version_that_cannot_be_compared_with_production_is_refused(
    register, promoting, production, first, second, message
):
    promoting(register(0.3, **first))
    better = register(0.8, **second)
    with pytest.raises(PromotionRefused, match=message):
        promoting(better)
    assert production() == 1


def test_versions_are_compared_on_the_regions_that_both_held_out(register, promoting, production):
    promoting(register(0.3))
    result = promoting(register(0.8, table=labels(first_region=10)))
    assert result.comparison.n_active_regions == N_REGIONS - 10
    assert production() == 2


def test_a_version_that_is_no_worse_beyond_the_interval_is_promoted(
    register, promoting, production
):
    promoting(register(0.5))
    promoting(register(0.5))
    assert production() == 2


def test_of_an_error_the_lower_one_is_the_better_one(register, promoting, production):
    promoting(register(0.3))
    result = promoting(register(0.8), score="log10_flux_mae")
    assert result.comparison.gain.value > 0
    assert production() == 2
    with pytest.raises(PromotionRefused, match=r"log10-flux MAE \(dex\) of the candidate"):
        promoting(1, score="log10_flux_mae")


INCOMPARABLE = "left out version 3 cannot be compared with Production, 1"
FITTED_THERE = "left out version 2: its postprocessing was fitted on the validation regions"
UNDEFINED = "left out version 2: its validation BSS of M1.0 is undefined"

#: Versions by skill and peculiarities, whether the first is Production, the best, and a line.
BEST = [
    ([(0.3, {}), (0.8, FLATTERED)], False, 1, FITTED_THERE),
    ([(0.8, FLATTERED), (0.3, FLATTERED)], False, 1, "is the best of the 2 versions"),
    ([(0.8, FLATTERED), (0.5, {})], True, 2, "its score there is optimistic"),
    ([(0.3, {}), (0.5, {}), (0.8, OTHER_DATA)], True, 2, INCOMPARABLE),
    ([(0.3, {}), (0.5, {}), (0.8, {"with_forecasts": False})], True, 2, INCOMPARABLE),
    ([(0.3, {}), (0.5, {}), (0.8, {"table": labels(1000)})], True, 2, INCOMPARABLE),
    ([(0.5, {}), (0.8, {}), (0.3, OTHER_REGIONS)], True, 2, "left out version 3 is worse than"),
    ([(0.5, {}), (0.8, {**OTHER_DATA, "table": QUIET})], False, 1, "is undefined"),
    ([(0.3, {}), (0.8, {**OTHER_REGIONS, "table": QUIET})], False, 1, UNDEFINED),
]


@pytest.mark.parametrize(("versions", "in_production", "best", "line"), BEST, ids=range(len(BEST)))
def test_best_is_the_best_that_can_be_compared_and_the_others_are_named(
    register, promoting, production, versions, in_production, best, line
):
    (skill, given), *others = versions
    first = register(skill, **given)
    if in_production:
        promoting(first)
    for skill, given in others:
        register(skill, **given)
    result = promoting("best")
    assert production() == best
    assert line in "\n".join(result.lines())


def test_best_refuses_to_replace_production_by_what_is_worse_on_the_regions_in_common(
    register, promoting, production
):
    promoting(register(0.8))
    register(0.3, **OTHER_REGIONS)
    with pytest.raises(PromotionRefused, match=r"version 2 is worse than Production"):
        promoting("best")
    assert production() == 1


def test_without_events_in_any_validation_regions_nothing_is_the_best(register, promoting):
    register(0.3, table=QUIET)
    with pytest.raises(PromotionRefused, match=r"is undefined, as without events.*-P event="):
        promoting("best")


def test_best_follows_the_score_that_is_asked_for(register, promoting, production):
    register(0.8)
    register(0.3)
    result = promoting("best", score="roc_area", event="C1.0")
    assert result.version.version in (1, 2)  # both rank perfectly
    assert promoting("best", score="log10_flux_mae").version.version == 1
    assert production() == 1
