"""A version that is worse on validation does not become Production unless somebody says why."""

import numpy as np
import pandas as pd
import pytest

from flare.config import PromoteConfig
from flare.errors import PromotionRefused
from flare.forecast import Forecast
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.goes import EVENTS, event_outcomes
from flare.tracking.packaging import package
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
def register(at_home, request):
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
        origin = Origin(data, "tiny", True, (), 2)
        one = fit_climatology(
            np.array([1e-9, 1e-5]), spec=ForecasterSpec(image_size=32), origin=origin
        )
        table = labels() if table is None else table
        forecast = forecasts(table, skill)
        card = score_forecasts(forecast, Observations.from_table(table), n_resamples=100)
        value = card.value("M1.0", "brier_skill_score")
        with start("baseline", name="some") as run:
            run.log_metrics(card.metrics("validation"))
            if with_forecasts:
                log_validation_forecasts(run, card, forecast, table)
            version = package(
                run,
                one,
                example=np.ones((4, 10, 32, 32), dtype=np.uint8),
                family="climatology",
                model_name=request.node.name,
                tags={
                    FINGERPRINT_TAG: data,
                    SPLIT_TAG: split,
                    POSTPROCESSING_TAG: postprocessing_data,
                    **({} if np.isnan(value) else {CHOICE_TAG: f"{value:.6f}"}),
                },
            )
        return version.version

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


def test_a_better_version_becomes_production_and_both_scores_are_reported(
    register, promoting, production
):
    promoting(register(0.3))
    result = promoting(register(0.8))
    assert production() == 2
    text = "\n".join(result.lines())
    assert "validation BSS of M1.0 of the candidate 0.960 [" in text
    assert "of Production 0.510 [" in text
    assert "the candidate is better by +0.450 [+" in text
    assert "paired over 40 active regions, 120 samples with 30 events" in text


def test_a_version_that_was_postprocessed_on_validation_beats_nobody_that_was_not(
    register, promoting, production
):
    promoting(register(0.3))
    flattered = register(0.8, postprocessing_data=ON_VALIDATION)
    with pytest.raises(PromotionRefused, match=r"fitted on the validation regions \(folds=0\)"):
        promoting(flattered)
    assert production() == 1


def test_best_passes_over_a_version_postprocessed_on_validation_while_another_was_not(
    register, promoting, production
):
    register(0.3)
    register(0.8, postprocessing_data=ON_VALIDATION)
    result = promoting("best")
    assert production() == 1
    left_out = "left out version 2: its postprocessing was fitted on the validation regions"
    assert left_out in result.lines()[-1]


def test_of_versions_that_were_all_postprocessed_on_validation_best_is_the_best_of_them(
    register, promoting, production
):
    register(0.8, postprocessing_data=ON_VALIDATION)
    register(0.3, postprocessing_data=ON_VALIDATION)
    promoting("best")
    assert production() == 1


def test_an_optimistic_score_of_production_does_not_keep_out_a_version_postprocessed_out_of_fold(
    register, promoting, production
):
    promoting(register(0.8, postprocessing_data=ON_VALIDATION))
    register(0.5)
    result = promoting("best")
    assert production() == 2
    assert "its score there is optimistic" in "\n".join(result.lines())


@pytest.mark.parametrize("flaw", ["other data", "no forecasts", "other regions"])
def test_best_takes_the_next_best_where_the_best_can_never_be_compared(
    register, promoting, production, flaw
):
    promoting(register(0.3))
    register(0.5)
    table = labels(first_region=1000) if flaw == "other regions" else None
    data = "c" * 64 if flaw == "other data" else DATA
    register(0.8, table=table, data=data, with_forecasts=flaw != "no forecasts")
    result = promoting("best")
    assert production() == 2
    assert "left out version 3 cannot be compared with Production, 1" in result.lines()[-1]


def test_best_refuses_to_replace_production_by_what_is_worse_on_the_regions_in_common(
    register, promoting, production
):
    promoting(register(0.8))
    register(0.3, table=labels(first_region=4), split="c" * 16)
    with pytest.raises(PromotionRefused, match=r"version 2 is worse than Production"):
        promoting("best")
    assert production() == 1


def test_best_is_a_better_version_behind_a_newer_one_that_is_worse_on_other_regions(
    register, promoting, production
):
    promoting(register(0.5))
    register(0.8)
    register(0.3, table=labels(first_region=4), split="c" * 16)
    result = promoting("best")
    assert production() == 2
    assert "left out version 3 is worse than Production" in result.lines()[-1]


def test_best_without_production_is_not_stuck_on_the_dataset_of_a_newer_version_without_events(
    register, promoting, production
):
    register(0.5)
    register(0.8, data="c" * 64, table=labels().assign(peak_flux=1e-9))
    promoting("best")
    assert production() == 1


def test_best_is_never_a_version_without_events_in_its_validation_regions(
    register, promoting, production
):
    register(0.3)
    register(0.8, table=labels().assign(peak_flux=1e-9), split="c" * 16)
    result = promoting("best")
    assert production() == 1
    assert "left out version 2: its validation BSS of M1.0 is undefined" in result.lines()[-1]


def test_without_events_in_any_validation_regions_nothing_is_the_best(register, promoting):
    register(0.3, table=labels().assign(peak_flux=1e-9))
    with pytest.raises(PromotionRefused, match=r"is undefined, as without events.*-P event="):
        promoting("best")


def test_the_history_holds_the_scores_that_were_compared(register, promoting, request):
    promoting(register(0.3))
    comparison = promoting(register(0.8)).comparison
    first, second = promotion_history(request.node.name)
    assert first.scores["candidate"]["value"] == pytest.approx(0.51)
    assert set(second.scores) == {"candidate", "incumbent", "gain"}
    assert second.scores["gain"]["low"] == pytest.approx(comparison.gain.low)


def test_a_version_that_is_significantly_worse_is_refused_and_nothing_moves(
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


def test_a_version_that_is_no_worse_beyond_the_interval_is_promoted(
    register, promoting, production
):
    promoting(register(0.5))
    promoting(register(0.5))
    assert production() == 2


def test_a_reason_forces_a_worse_version_and_is_stored_as_a_tag(
    register, promoting, production, request
):
    promoting(register(0.8))
    result = promoting(register(0.3), force="the better one needs a GPU")
    assert production() == 2
    assert version_tags(result.version)["flare.forced_because"] == "the better one needs a GPU"
    assert "forced: the better one needs a GPU" in result.because
    assert "is worse than Production" in result.because


def test_going_back_needs_no_comparison(register, promoting, production):
    promoting(register(0.3))
    promoting(register(0.8))
    promoting("previous")
    assert production() == 1


def test_a_version_of_another_dataset_cannot_be_compared(register, promoting, production):
    promoting(register(0.3))
    other = register(0.8, data="c" * 64)
    with pytest.raises(PromotionRefused, match=r"trained on different datasets.*force=REASON"):
        promoting(other)
    assert production() == 1


def test_versions_are_compared_on_the_regions_that_both_held_out(register, promoting, production):
    promoting(register(0.3))
    result = promoting(register(0.8, table=labels(first_region=10)))
    assert result.comparison.n_active_regions == N_REGIONS - 10
    assert production() == 2


def test_without_common_regions_there_is_no_comparison(register, promoting):
    promoting(register(0.3))
    apart = register(0.8, table=labels(first_region=1000))
    with pytest.raises(PromotionRefused, match=r"0 active regions in common"):
        promoting(apart)


def test_a_version_without_stored_forecasts_cannot_be_compared(register, promoting):
    promoting(register(0.3, with_forecasts=False))
    with pytest.raises(PromotionRefused, match=r"no validation forecasts of 1 are stored"):
        promoting(register(0.8))


def test_other_labels_for_the_same_samples_are_not_compared(register, promoting):
    promoting(register(0.3))
    changed = labels()
    changed.loc[0, "peak_flux"] = 3e-4
    with pytest.raises(PromotionRefused, match=r"against different labels"):
        promoting(register(0.8, table=changed))


def test_without_events_nothing_can_be_said(register, promoting):
    quiet = labels().assign(peak_flux=1e-9)
    promoting(register(0.3, table=quiet))
    with pytest.raises(PromotionRefused, match=r"cannot be compared"):
        promoting(register(0.8, table=quiet))


def test_of_an_error_the_lower_one_is_the_better_one(register, promoting, production):
    promoting(register(0.3))
    result = promoting(register(0.8), score="log10_flux_mae")
    assert result.comparison.gain.value > 0
    assert production() == 2
    with pytest.raises(PromotionRefused, match=r"log10-flux MAE \(dex\) of the candidate"):
        promoting(1, score="log10_flux_mae")


def test_best_follows_the_score_that_is_asked_for(register, promoting, production):
    register(0.8)
    register(0.3)
    result = promoting("best", score="roc_area", event="C1.0")
    assert result.version.version in (1, 2)  # both rank perfectly
    assert promoting("best", score="log10_flux_mae").version.version == 1
    assert production() == 1
