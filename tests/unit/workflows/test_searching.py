"""Spaces, objectives and the shared study of a search; whole searches are in tests/integration."""

import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from sklearn.metrics import log_loss

from flare.config.search import SearchConfig
from flare.errors import ConfigInvalid
from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.search_space import Choices, is_active
from flare.workflows.fitting.cross_validation import OutOfFoldForecasts
from flare.workflows.searching import space, storage, study
from flare.workflows.searching.objective import Objective, paired_difference, score

SIZES = SearchConfig(image_size=64, smallest_image_size=32)


def inside(ranges, values) -> bool:
    """Return whether values are those of a space, without those that have no effect."""
    assert values.keys() == {name for name, one in ranges.items() if is_active(one, values)}
    of_choice = {name for name in values if isinstance(ranges[name], Choices)}
    return all(values[name] in ranges[name].options for name in of_choice) and all(
        ranges[name].low <= values[name] <= ranges[name].high for name in values.keys() - of_choice
    )


@pytest.mark.parametrize("model", space.MODELS)
def test_the_defaults_are_a_point_of_the_space_and_every_point_is_a_valid_config(model):
    ranges = space.space_of(model, SIZES)
    assert inside(ranges, space.default_values(model, ranges, SIZES))
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        values = space.suggest(drawn.ask(), ranges)
        assert inside(ranges, values)
        config = space.entry_config(model, values, SIZES)
        for name in values.keys() - {space.IMAGE_SIZE_EXPONENT}:
            assert getattr(config, name) == values[name]
        assert config.image_size in (32, 64)


def test_what_the_search_was_given_reaches_the_training(tmp_path):
    given = SearchConfig(
        data_dir=tmp_path / "with a space",
        pack_dir=tmp_path / "a pack",
        image_size=64,
        smallest_image_size=32,
        validation_share=0.3,
        split_seed=4,
        folds=5,
        seed=7,
        epochs=9,
        accelerator="cpu",
        model_name="other",
        resamples=200,
    )
    ranges = space.space_of("resnet", given)
    values = dict(space.default_values("resnet", ranges, given))
    config = space.entry_config("resnet", values, given)
    shared = "data_dir pack_dir validation_share split_seed folds seed epochs accelerator resamples"
    assert all(getattr(config, name) == getattr(given, name) for name in shared.split())
    assert (config.architecture, config.model_name) == ("resnet", "other")
    smaller = space.entry_config("resnet", values | {space.IMAGE_SIZE_EXPONENT: 5}, given)
    assert (smaller.image_size, smaller.pack_dir) == (32, tmp_path / "a pack-32")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objective": "accuracy"}, "choose one or two of ranked_probability_score, log_loss"),
        ({"objective": "log_loss,log_loss"}, "two different ones"),
        ({"objective": "brier_skill_score,log10_flux_mae"}, "pass pruner=none"),
        ({"smallest_image_size": 256}, "is above image_size=128"),
        ({"smallest_image_size": 50}, "choose one of 0, 32, 64"),
        ({"study": "a/b"}, "should match pattern"),
    ],
)
def test_bad_parameters_of_a_search_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        SearchConfig(**given)


def some_forecasts(probability_of_m1):
    """Twelve samples of six regions in three folds; M1.0 happens in every third."""
    n = 12
    probability = np.tile([0.9, 0.5, 0.0, 0.01], (n, 1))
    probability[:, EVENTS.index("M1.0")] = probability_of_m1
    flux = np.full(n, -6.0)
    forecast = Forecast(flux, flux, flux, probability, EVENTS, dict.fromkeys(EVENTS, 0.5))
    peak_flux = np.where(np.arange(n) % 3 == 0, 2e-5, 2e-7)
    regions = np.arange(n) // 2
    table = pd.DataFrame({"peak_flux": peak_flux, "active_region": regions})
    data = SimpleNamespace(
        peak_flux=peak_flux, active_regions=regions, rows=SimpleNamespace(table=table)
    )
    return OutOfFoldForecasts(np.arange(n), regions % 3, forecast), data


def test_objectives_are_the_scores_that_they_name_and_equal_forecasts_differ_by_nothing():
    forecasts, data = some_forecasts(np.linspace(0.05, 0.45, 12))
    reached = data.peak_flux[:, None] >= np.array([1e-7, 1e-6, 1e-5, 1e-4])
    probability = forecasts.forecast.probability
    expected = {
        "ranked_probability_score": np.square(probability - reached).sum(axis=1).mean(),
        "log10_flux_mae": np.abs(np.log10(data.peak_flux) + 6).mean(),
        "log_loss": np.mean(
            [log_loss(reached[:, k], probability[:, k], labels=[False, True]) for k in range(4)]
        ),
    }
    for name, value in expected.items():
        objective = Objective(name)
        assert score(forecasts, data, objective).value == pytest.approx(value)
        assert objective.direction == "minimize"
        difference = paired_difference(forecasts, forecasts, data, objective, resamples=100)
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_the_true_skill_statistic_is_at_thresholds_of_the_other_folds():
    """In each fold the forecasts are shifted: a threshold of the fold itself would be perfect."""
    forecasts, data = some_forecasts(np.full(12, 0.2))
    column = EVENTS.index("M1.0")
    events = data.peak_flux >= 1e-5
    shifted = np.where(events, 0.15, 0.1) + 0.1 * forecasts.folds
    forecasts.forecast.probability[:, column] = shifted
    assert score(forecasts, data, Objective("true_skill_statistic")).value < 0.6
    forecasts.forecast.probability[:, column] = np.where(events, 0.4, 0.1)
    assert score(forecasts, data, Objective("true_skill_statistic")).value == 1


@pytest.fixture
def shared(tmp_path):
    """Return a function that opens one study as another process would."""
    storage.quiet_optuna()
    opened = []

    def open_it(*, name="one", **changed):
        given = {
            "directions": ["minimize"],
            "conditions": {"objective": "a"},
            "sampler": space.sampler_of("tpe", several_objectives=False),
            "pruner": space.pruner_of("median", epochs=3),
            "seed": 0,
            "heartbeat": 1,
        }
        database = storage.open_storage(f"sqlite:///{tmp_path}/studies/search.db", heartbeat=1)
        opened.append(study.SharedStudy(database, name, **given | changed))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


def until_lost(mine: study.SharedStudy) -> None:
    """Wait until the running trial counts as lost."""
    deadline = time.monotonic() + 20
    while mine.is_running(1) and time.monotonic() < deadline:
        mine.fail_lost_trials()
        time.sleep(0.1)


def test_two_processes_share_a_queue_and_each_trial_is_run_once(shared):
    first, second = shared(), shared()
    first.queue(8, {"x": 0.25})
    drawn: list[tuple[int, float]] = []

    def work(mine: study.SharedStudy) -> None:
        while (trial := mine.claim(8)) is not None:
            x = trial.suggest_float("x", 0, 1)
            drawn.append((trial.number, x))
            mine.tell(trial, TrialState.COMPLETE, [x])

    threads = [threading.Thread(target=work, args=[one]) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in drawn) == list(range(8))
    assert len({x for _, x in drawn}) == 8
    assert dict(drawn)[0] == 0.25
    assert Counter(trial.state for trial in second.trials()) == {TrialState.COMPLETE: 8}
    first.queue(8, {})
    assert first.claim(8) is None


def test_random_trials_do_not_depend_on_who_runs_them(shared):
    def values(name, processes):
        sampler = space.sampler_of("random", several_objectives=False)
        all_of_them = [shared(name=name, sampler=sampler) for _ in range(processes)]
        all_of_them[0].queue(4, {})
        result = {}
        for number in range(4):
            mine = all_of_them[number % processes]
            trial = mine.claim(4)
            result[trial.number] = trial.suggest_float("x", 0, 1)
            mine.tell(trial, TrialState.COMPLETE, [0.0])
        return result

    assert values("alone", 1) == values("two", 2)


def test_a_lost_trial_fails_and_is_run_once_more_and_not_a_third_time(shared):
    mine = shared()
    mine.queue(1, {"x": 0.5})
    seen = []
    for attempt in range(2):
        trial = mine.claim(1)
        seen.append((trial.number, trial.suggest_float("x", 0, 1)))
        if attempt == 1:  # else its process is lost before its first sign of life
            with mine.alive(trial):
                pass
        until_lost(mine)
    assert seen == [(0, 0.5), (1, 0.5)]
    assert [trial.state for trial in mine.study.trials] == [TrialState.FAIL, TrialState.FAIL]
    assert len(mine.trials()) == 1
    assert mine.claim(1) is None
    assert mine.tell(trial, TrialState.COMPLETE, [0.1]) is False


def test_ctrl_c_after_a_trial_has_its_value_changes_nothing(shared):
    mine = shared()
    mine.queue(1, {"x": 0.5})
    trial = mine.claim(1)
    mine.tell(trial, TrialState.COMPLETE, [1.0])
    mine.stop(trial)
    assert [one.state for one in mine.study.trials] == [TrialState.COMPLETE]
    assert mine.state(trial) == TrialState.COMPLETE


def test_a_study_of_other_conditions_or_another_direction_is_refused(shared):
    shared()
    with pytest.raises(ConfigInvalid, match=r"of another objective .*objective=b, not a"):
        shared(conditions={"objective": "b"})
    with pytest.raises(ConfigInvalid, match="of another direction"):
        shared(directions=["maximize"])


def test_one_process_leads_and_another_takes_over_when_it_is_lost(shared, monkeypatch):
    leader, other = shared(), shared()
    assert leader.try_to_lead()
    with leader.leading():
        assert not other.try_to_lead()
        assert leader.try_to_lead()
        assert not other.is_finishing()
        leader.finish()
        assert other.is_finishing()
        with monkeypatch.context() as patch:
            patch.setattr(study.psutil, "pid_exists", lambda _pid: False)
            assert not other.has_leader()
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr(study.time, "time", lambda: now + 100)
            assert not other.has_leader()
        assert other.has_leader()
    assert not other.has_leader()
    assert other.try_to_lead()
    assert not leader.try_to_lead()


@pytest.mark.parametrize("name", ["percentile", "median", "hyperband"])
def test_nothing_is_pruned_before_five_trials_are_complete(name):
    pruned = []
    one = optuna.create_study(direction="minimize", pruner=space.pruner_of(name, epochs=9))
    for number in range(12):
        trial = one.ask()
        for step in range(1, 9):
            trial.report(float(number), step)
        pruned.append(trial.should_prune())
        one.tell(trial, float(number))
    assert pruned[:5] == [False] * 5
    assert any(pruned[5:])
