"""One study as two processes see it, here two objects with connections of their own."""

import optuna
import pytest
from optuna.trial import TrialState
from search_processes import until

from flare.workflows.searching.study import SharedStudy, open_storage, pruner_of, sampler_of


@pytest.fixture
def join(tmp_path):
    """Return a function that opens the study as another process would."""
    opened = []

    def open_study(heartbeat: int = 60) -> SharedStudy:
        storage = open_storage(f"sqlite:///{tmp_path}/search.db", heartbeat=heartbeat)
        opened.append(storage)
        return SharedStudy(
            storage,
            "study",
            directions=["minimize"],
            conditions={"model": "forest"},
            sampler=sampler_of("tpe", several_objectives=False),
            pruner=pruner_of("none", epochs=1),
            seed=0,
            heartbeat=heartbeat,
        )

    yield open_study
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()


def states(study: SharedStudy) -> list[str]:
    return [one.state.name for one in study.study.get_trials(deepcopy=False)]


def test_a_process_that_joins_can_run_the_first_trial_with_the_values_given_to_it(join):
    leader, other = join(), join()
    leader.queue(2, {"x": 0.25})
    trial = other.claim(2)
    assert trial.suggest_float("x", 0, 1) == 0.25
    assert other.tell(trial, TrialState.COMPLETE, [1.0])
    assert [one.state for one in leader.trials()] == [TrialState.COMPLETE, TrialState.WAITING]


def test_no_trial_is_claimed_twice_and_no_two_draw_the_same(join):
    both = join(), join()
    both[0].queue(6, {"x": 0.5})
    trials = [both[k % 2].claim(6) for k in range(6)]
    assert sorted(one.number for one in trials) == list(range(6))
    assert both[0].claim(6) is both[1].claim(6) is None
    assert len({one.suggest_float("x", 0, 1) for one in trials}) == 6


def test_a_claimed_trial_without_any_sign_of_life_is_queued_once_more(join):
    lost, other = join(heartbeat=1), join(heartbeat=1)
    lost.queue(1, {"x": 0.5})
    first = lost.claim(1)  # and its process is killed at once
    until(lambda: other.fail_lost_trials() or states(other) == ["FAIL", "WAITING"], seconds=30)
    again = other.claim(1)
    assert again.suggest_float("x", 0, 1) == 0.5
    # A process that was only slow hears of it, and its result does not count.
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        first.set_user_attr("a", 1)
    assert not lost.tell(first, TrialState.COMPLETE, [0.0])
    until(lambda: other.fail_lost_trials() or states(other) == ["FAIL", "FAIL"], seconds=30)
    assert not other.is_busy(1)


def test_ctrl_c_after_a_trial_has_its_value_changes_nothing(join):
    study = join()
    study.queue(1, {"x": 0.5})
    trial = study.claim(1)
    study.tell(trial, TrialState.COMPLETE, [1.0])
    study.stop(trial)
    assert states(study) == ["COMPLETE"]
    assert study.is_complete(trial)
