import threading
from dataclasses import replace

import pytest
from serving_fakes import FakeForecaster, FakeSource

from flare.errors import ForecasterInvalid, ModelNotFound, TrackingUnavailable
from serving.models.follower import Follower

NAN = float("nan")


def follower_of(source: FakeSource) -> Follower:
    return Follower(source, poll_seconds=3600)


def live_version(follower: Follower) -> str:
    return follower.snapshot().version.number


def test_a_promoted_version_replaces_the_live_one_and_is_the_last_good_one():
    source = FakeSource(v1=FakeForecaster(), v2=FakeForecaster())
    follower = follower_of(source)
    follower.poll_once()
    source.current = "v2"
    follower.poll_once()
    assert live_version(follower) == "v2"
    assert source.accepted == "v2"


BROKEN = {
    "does not load": ForecasterInvalid("weights.safetensors is missing"),
    "answers NaN": FakeForecaster(log10_flux=NAN),
    "answers a probability of 2": FakeForecaster(probabilities=(2.0, 0.5, 0.1, 0.0)),
    "answers too few events": FakeForecaster(probabilities=(0.5, 0.1)),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_leaves_the_old_one_live_and_is_reported(how):
    source = FakeSource(v1=FakeForecaster(), v2=BROKEN[how])
    follower = follower_of(source)
    follower.poll_once()
    source.current = "v2"
    follower.poll_once()
    assert live_version(follower) == "v1"
    assert follower.last_error is not None
    assert source.refused == ([] if isinstance(BROKEN[how], Exception) else ["v2"])
    assert source.accepted == "v1"


def test_a_model_that_raises_in_its_self_test_is_refused():
    class Raising(FakeForecaster):
        def predict(self, cubes, present):
            raise RuntimeError("no kernel for this processor")

    follower = follower_of(FakeSource(v1=Raising()))
    follower.poll_once()
    assert follower.live is None
    assert "no kernel for this processor" in follower.last_error


def test_a_model_that_writes_into_its_input_is_refused():
    class Writing(FakeForecaster):
        def predict(self, cubes, present):
            cubes[...] = 0
            return super().predict(cubes, present)

    follower = follower_of(FakeSource(v1=Writing()))
    follower.poll_once()
    assert follower.live is None
    assert "read-only" in follower.last_error


def test_a_broken_version_is_not_loaded_again_and_its_error_remains():
    source = FakeSource(v1=ForecasterInvalid("damaged"))
    follower = follower_of(source)
    for _ in range(3):
        follower.poll_once()
    assert source.loads == ["v1"]
    assert follower.last_error == "version v1: damaged; promote another version"


def test_a_download_that_fails_is_tried_again():
    source = FakeSource(v1=TrackingUnavailable("artifact store away"))
    follower = follower_of(source)
    follower.poll_once()
    source.models["v1"] = FakeForecaster()
    follower.poll_once()
    assert live_version(follower) == "v1"


def test_a_registry_that_goes_away_leaves_the_model_live():
    source = FakeSource(v1=FakeForecaster())
    follower = follower_of(source)
    follower.poll_once()
    source.current = TrackingUnavailable("no answer from http://mlflow:5000")
    follower.poll_once()
    assert live_version(follower) == "v1"
    assert "http://mlflow:5000" in follower.last_error


def test_an_unexpected_error_is_logged_whole_and_reported_without_its_text(caplog):
    source = FakeSource()
    source.current = ZeroDivisionError("a secret")
    follower = follower_of(source)
    follower.poll_once()
    assert "a secret" in caplog.text
    assert "a secret" not in follower.last_error
    assert "ZeroDivisionError" in follower.last_error


def test_an_unexpected_error_that_stays_is_logged_once(caplog):
    source = FakeSource()
    source.current = ZeroDivisionError("again")
    follower = follower_of(source)
    for _ in range(3):
        follower.poll_once()
    assert caplog.text.count("Traceback") == 1
    assert caplog.text.count("no new model") == 1


def test_a_version_is_loaded_once_in_many_polls():
    source = FakeSource(v1=FakeForecaster())
    follower = follower_of(source)
    for _ in range(3):
        follower.poll_once()
    assert source.loads == ["v1"]


@pytest.mark.parametrize("kind", [ModelNotFound, TrackingUnavailable])
def test_without_a_model_a_snapshot_says_why(kind):
    source = FakeSource()
    source.current = kind("the reason")
    follower = follower_of(source)
    follower.poll_once()
    with pytest.raises(kind, match="no model is loaded: the reason"):
        follower.snapshot()


def test_before_the_first_poll_a_snapshot_says_that_a_model_is_being_loaded():
    with pytest.raises(ModelNotFound, match="being loaded"):
        follower_of(FakeSource()).snapshot()


def test_the_thread_polls_at_its_interval_and_ends_when_stopped():
    polls = threading.Semaphore(0)

    class Counting(FakeSource):
        def current_version(self):
            polls.release()
            return super().current_version()

    source = Counting(v1=FakeForecaster())
    follower = Follower(source, poll_seconds=0.01)
    follower.start()
    for _ in range(3):
        assert polls.acquire(timeout=30)
    follower.stop()
    assert not follower._thread.is_alive()


def started(source: FakeSource) -> Follower:
    follower = follower_of(source)
    follower.start()
    follower.wait_for_first_poll(30)
    follower.stop()
    return follower


def test_a_start_without_the_registry_serves_what_was_good_last():
    source = FakeSource(v1=FakeForecaster())
    source.accepted, source.current = "v1", TrackingUnavailable("no answer")
    follower = started(source)
    assert live_version(follower) == "v1"
    assert "no answer" in follower.last_error
    assert follower.polled_at is None


def test_a_start_with_the_registry_goes_on_to_what_was_promoted_meanwhile():
    source = FakeSource(v1=FakeForecaster(), v2=FakeForecaster())
    source.accepted, source.current = "v1", "v2"
    assert live_version(started(source)) == "v2"


def test_a_forecaster_is_prepared_before_its_self_test(monkeypatch):
    broken, mended = FakeForecaster(log10_flux=NAN), FakeForecaster()
    source = FakeSource(v1=broken)
    monkeypatch.setattr(
        "serving.models.follower.with_threads_for",
        lambda _, loaded: replace(loaded, forecaster=mended),
    )
    follower = follower_of(source)
    follower.poll_once()
    assert follower.snapshot().forecaster is mended


def test_the_forecaster_for_all_cores_is_tested_too(monkeypatch):
    good, broken = FakeForecaster(), FakeForecaster(log10_flux=NAN)
    source = FakeSource(v1=good)
    monkeypatch.setattr(
        "serving.models.follower.with_threads_for",
        lambda _, loaded: replace(loaded, multi_core=broken),
    )
    follower = follower_of(source)
    follower.poll_once()
    assert follower.live is None
    assert source.refused == ["v1"]


def test_details_of_the_live_model_are_requested_again(monkeypatch):
    monkeypatch.setattr("serving.models.follower.DETAILS_SECONDS", 0.0)
    source = FakeSource(v1=FakeForecaster())
    follower = follower_of(source)
    follower.poll_once()
    source.renewal = {"scores_on": "test split"}
    follower.poll_once()
    assert follower.snapshot().details == source.renewal
    assert source.loads == ["v1"]


def test_a_version_is_loaded_again_after_a_memory_error():
    class Hungry(FakeForecaster):
        def predict(self, cubes, present):
            if not self.asked:
                self.asked.append(cubes)
                raise MemoryError
            return super().predict(cubes, present)

    source = FakeSource(v1=Hungry())
    follower = follower_of(source)
    follower.poll_once()
    assert follower.live is None
    assert source.refused == []
    follower.poll_once()
    assert live_version(follower) == "v1"


def test_a_broken_version_is_still_reported_after_the_registry_was_away():
    source = FakeSource(v1=ForecasterInvalid("damaged"))
    follower = follower_of(source)
    for current in ("v1", TrackingUnavailable("no answer"), "v1"):
        source.current = current
        follower.poll_once()
    assert "damaged" in follower.last_error


def test_the_error_goes_when_the_alias_moves_back_to_the_live_version():
    source = FakeSource(v1=FakeForecaster(), v2=ForecasterInvalid("damaged"))
    follower = follower_of(source)
    for version in ("v1", "v2", "v1"):
        source.current = version
        follower.poll_once()
    assert follower.last_error is None
    assert source.loads == ["v1", "v2"]


def test_a_last_good_version_that_is_broken_is_not_served():
    source = FakeSource(v1=BROKEN["answers NaN"])
    source.accepted, source.current = "v1", TrackingUnavailable("no answer")
    assert started(source).live is None
