import asyncio
import itertools
import threading

import numpy as np
import pytest
from serving_fakes import CUBE, Blocking, Client, FakeForecaster, FakeSource, npy

from flare.errors import ForecasterInvalid, ModelNotFound


@pytest.fixture
def empty():
    source = FakeSource()
    source.current = ModelNotFound("'solar-flare' has no alias 'Production'")
    return source


def test_flux_class_and_probability_are_the_forecasters_own_numbers():
    forecaster = FakeForecaster(log10_flux=-5.24, probabilities=(0.9, 0.6, 0.1, 0.01))
    with Client(FakeSource(v1=forecaster)) as client:
        answer = client.predict().json()
    assert answer["log_flux"] == -5.24
    assert answer["peak_flux_w_m2"] == pytest.approx(5.754e-06, rel=1e-3)
    assert answer["flare_class"] == "C"
    assert answer["mx_probability"] == 0.1
    assert answer["is_mx_flare"] is False
    assert answer["goes_class"] == "C5.7"
    assert answer["flux_low_w_m2"] == pytest.approx(10**-6.24)
    assert answer["flux_high_w_m2"] == pytest.approx(10**-4.24)
    assert answer["interval_level"] == 0.9
    assert answer["probabilities"] == {
        "B1.0": 0.9,
        "C1.0": 0.6,
        "M1.0": 0.1,
        "X1.0": 0.01,
    }
    assert answer["window_hours"] == 24


def test_the_answer_names_its_model_and_counts_the_missing_images():
    cube = CUBE.copy()
    cube[2] = 0
    with Client(FakeSource(v7=FakeForecaster())) as client:
        answer = client.predict(npy(cube)).json()
    assert (answer["model_name"], answer["model_version"]) == ("solar-flare", "v7")
    assert answer["missing_images"] == 10


def test_a_promotion_is_served_without_a_restart(empty):
    with Client(empty) as client:
        assert client.predict().status_code == 503
        empty.models["v1"] = FakeForecaster()
        empty.current = "v1"
        client.poll()
        assert client.predict().json()["model_version"] == "v1"


def test_a_broken_promotion_keeps_the_old_model_answering_and_shows_in_health():
    source = FakeSource(v1=FakeForecaster(), v2=ForecasterInvalid("weights are missing"))
    with Client(source) as client:
        source.current = "v2"
        client.poll()
        assert client.predict().json()["model_version"] == "v1"
        health = client.get("/health").json()
    assert (health["status"], health["model_version"]) == ("ok", "v1")
    assert "weights are missing" in health["last_error"]


def test_a_request_in_flight_during_a_swap_is_answered_by_the_model_it_began_with():
    old = Blocking(log10_flux=-5.0)
    source = FakeSource(v1=old, v2=FakeForecaster(log10_flux=-4.0))

    async def scenario(client):
        request = asyncio.create_task(client.predicting())
        await asyncio.to_thread(old.entered.wait, 60)
        source.current = "v2"
        await asyncio.to_thread(client.poll)
        later = await client.predicting()
        old.go_on.set()
        return (await request).json(), later.json()

    with Client(source) as client:
        first, second = client.run(scenario(client))
    assert (first["model_version"], first["log_flux"]) == ("v1", -5.0)
    assert (second["model_version"], second["log_flux"]) == ("v2", -4.0)


def test_health_answers_while_a_forecast_is_being_computed():
    slow = Blocking()

    async def scenario(client):
        request = asyncio.create_task(client.predicting())
        await asyncio.to_thread(slow.entered.wait, 60)
        health = await asyncio.wait_for(client.http.get("/health"), timeout=30)
        computing = not request.done()
        slow.go_on.set()
        await request
        return health.status_code, computing

    with Client(FakeSource(v1=slow)) as client:
        assert client.run(scenario(client)) == (200, True)


def test_answers_during_swaps_are_each_from_exactly_one_version():
    versions = {f"v{n}": FakeForecaster(log10_flux=-8.0 + n) for n in range(4)}
    source = FakeSource(**versions)
    enough = threading.Event()

    def swap(client):
        for version in itertools.cycle(versions):
            source.current = version
            client.poll()
            if enough.is_set():
                return

    async def scenario(client):
        swaps = asyncio.create_task(asyncio.to_thread(swap, client))
        answers = []
        while len({answer["model_version"] for answer in answers}) < len(versions):
            several = await asyncio.gather(*(client.predicting() for _ in range(6)))
            answers += [response.json() for response in several]
        enough.set()
        await swaps
        return answers

    with Client(source) as client:
        answers = client.run(scenario(client))
    for answer in answers:
        assert answer["log_flux"] == versions[answer["model_version"]].log10_flux


def test_a_model_that_forecasts_nan_for_one_sample_is_500():
    class Fragile(FakeForecaster):
        def predict(self, cubes, present):
            self.log10_flux = -5.0 if len(cubes) == 2 else np.nan
            return super().predict(cubes, present)

    with Client(FakeSource(v1=Fragile())) as client:
        response = client.predict()
    assert (response.status_code, response.json()["error"]) == (500, "model_failed")
