import threading
from dataclasses import replace

import pytest
from serving_fakes import FakeForecaster, FakeSource

from flare.errors import FlareError, ForecasterInvalid, ModelNotFound, TrackingUnavailable
from serving.models.follower import Follower

NAN = float("nan")
AWAY = TrackingUnavailable("no answer from http://mlflow:5000")


def following(source: FakeSource, *versions: str | FlareError) -> Follower:
    """Return a follower that has polled once for each version."""
    follower = Follower(source, poll_seconds=3600)
    for version in versions or (source.current,):
        source.current = version
        follower.poll_once()
    return follower


def started(source: FakeSource) -> Follower:
    follower = Follower(source, poll_seconds=3600)
    follower.start()
    follower.wait_for_first_poll(30)
    follower.stop()
    return follower


def live_version(follower: Follower) -> str:
    return follower.snapshot().version.number


class Raising(FakeForecaster):
    def predict(self, cubes, present):
        raise RuntimeError("no kernel for this processor")


class Writing(FakeForecaster):
    def predict(self, cubes, present):
        cubes[...] = 0
        return super().predict(cubes, present)


BROKEN = {
    "weights.safetensors is missing": ForecasterInvalid("weights.safetensors is missing"),
    "nan": FakeForecaster(log10_flux=NAN),
    "not within 0 and 1": FakeForecaster(probabilities=(2.0, 0.5, 0.1, 0.0)),
    "probabilities have shape": FakeForecaster(probabilities=(0.5, 0.1)),
    "no kernel for this processor": Raising(),
    "read-only": Writing(),
}


def test_a_promoted_version_replaces_the_live_one_and_is_the_last_good_one():
    source = FakeSource(v1=FakeForecaster(), v2=FakeForecaster())
    follower = following(source, "v1", "v1", "v2", "v2")
    assert live_version(follower) == source.accepted == "v2"
    assert source.loads == ["v1", "v2"]


@pytest.mark.parametrize("says", BROKEN)
def test_a_broken_version_leaves_the_old_one_live_and_is_reported_and_not_loaded_again(says):
    source = FakeSource(v1=FakeForecaster(), v2=BROKEN[says])
    follower = following(source, "v1", "v2", AWAY, "v2")
    assert live_version(follower) == source.accepted == "v1"
    assert follower.last_error.startswith("version v2: ")
    assert follower.last_error.endswith("; promote another version")
    assert says in follower.last_error
    assert source.refused == ([] if isinstance(BROKEN[says], Exception) else ["v2"])
    assert source.loads == ["v1", "v2"]
    source.current = "v1"
    follower.poll_once()  # the alias moves back
    assert (follower.last_error, source.loads) == (None, ["v1", "v2"])


def test_a_download_that_fails_is_tried_again():
    source = FakeSource(v1=TrackingUnavailable("artifact store away"))
    follower = following(source)
    source.models["v1"] = FakeForecaster()
    follower.poll_once()
    assert live_version(follower) == "v1"


def test_a_version_is_loaded_again_after_a_memory_error():
    class Hungry(FakeForecaster):
        def predict(self, cubes, present):
            if not self.asked:
                self.asked.append(cubes)
                raise MemoryError
            return super().predict(cubes, present)

    source = FakeSource(v1=Hungry())
    follower = following(source)
    assert (follower.live, source.refused) == (None, [])
    follower.poll_once()
    assert live_version(follower) == "v1"


def test_a_registry_that_goes_away_leaves_the_model_live():
    follower = following(FakeSource(v1=FakeForecaster()), "v1", AWAY)
    assert live_version(follower) == "v1"
    assert "http://mlflow:5000" in follower.last_error


def test_an_unexpected_error_is_logged_whole_once_and_reported_without_its_text(caplog):
    error = ZeroDivisionError("a secret")
    follower = following(FakeSource(), error, error, error)
    assert "a secret" in caplog.text
    assert "a secret" not in follower.last_error
    assert "ZeroDivisionError" in follower.last_error
    assert caplog.text.count("Traceback") == caplog.text.count("no new model") == 1


@pytest.mark.parametrize("kind", [ModelNotFound, TrackingUnavailable])
def test_without_a_model_a_snapshot_says_why(kind):
    with pytest.raises(ModelNotFound, match="being loaded"):
        Follower(FakeSource(), poll_seconds=3600).snapshot()
    with pytest.raises(kind, match="no model is loaded: the reason"):
        following(FakeSource(), kind("the reason")).snapshot()


def test_the_thread_polls_at_its_interval_and_ends_when_stopped():
    polls = threading.Semaphore(0)

    class Counting(FakeSource):
        def current_version(self):
            polls.release()
            return super().current_version()

    follower = Follower(Counting(v1=FakeForecaster()), poll_seconds=0.01)
    follower.start()
    for _ in range(3):
        assert polls.acquire(timeout=30)
    follower.stop()
    assert not follower._thread.is_alive()


def test_a_start_without_the_registry_serves_what_was_good_last():
    source = FakeSource(v1=FakeForecaster())
    source.accepted, source.current = "v1", AWAY
    follower = started(source)
    assert live_version(follower) == "v1"
    assert "no answer" in follower.last_error
    assert follower.polled_at is None


def test_a_last_good_version_that_is_broken_is_not_served():
    source = FakeSource(v1=FakeForecaster(log10_flux=NAN))
    source.accepted, source.current = "v1", AWAY
    assert started(source).live is None


def test_a_start_with_the_registry_goes_on_to_what_was_promoted_meanwhile():
    source = FakeSource(v1=FakeForecaster(), v2=FakeForecaster())
    source.accepted, source.current = "v1", "v2"
    assert live_version(started(source)) == "v2"


@pytest.mark.parametrize("part", ["forecaster", "multi_core"])
def test_the_forecasters_for_one_core_and_for_all_are_tested(monkeypatch, part):
    broken = {part: FakeForecaster(log10_flux=NAN)}
    target = "serving.models.follower.with_threads_for"
    monkeypatch.setattr(target, lambda _, loaded: replace(loaded, **broken))
    source = FakeSource(v1=FakeForecaster())
    assert following(source).live is None
    assert source.refused == ["v1"]


def test_details_of_the_live_model_are_requested_again(monkeypatch):
    monkeypatch.setattr("serving.models.follower.DETAILS_SECONDS", 0.0)
    source = FakeSource(v1=FakeForecaster())
    follower = following(source)
    source.renewal = {"scores_on": "test split"}
    follower.poll_once()
    assert follower.snapshot().details == source.renewal
    assert source.loads == ["v1"]
