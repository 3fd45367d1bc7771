"""GET /metrics is Prometheus' text, and its numbers are those of the requests."""

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving_fakes import CUBE, Client, FakeForecaster, FakeSource, npy

from flare.errors import ForecasterInvalid
from flare.forecasters.training_inputs import fit_training_inputs
from flare.sample import plane_sums


def numbers(client: Client) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and sorted labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


@pytest.fixture
def client():
    with Client(FakeSource(v1=FakeForecaster(), v2=FakeForecaster(log10_flux=-3.9))) as client:
        yield client


def test_requests_are_counted_by_method_endpoint_and_status(client):
    client.predict()
    client.predict()
    client.predict(b"nothing")
    client.get("/health")
    client.get("/predict_npy")
    result = numbers(client)
    name, npy_path = "flare_requests_total", "endpoint=/predict_npy"
    assert result[name, npy_path, "method=POST", "status=200"] == 2
    assert result[name, npy_path, "method=POST", "status=415"] == 1
    assert result[name, "endpoint=/health", "method=GET", "status=200"] == 1
    assert result["flare_request_seconds_count", npy_path] >= 3
    assert result["flare_request_seconds_sum", npy_path] > 0


def test_unknown_paths_and_methods_share_one_series(client):
    client.get("/metrics")
    before = len(numbers(client))
    for n in range(20):
        client.get(f"/wp-admin/{n}")
        client.run(client.http.request(f"METHOD{n}", "/health"))
    names = [name for name in numbers(client) if name[0] == "flare_requests_total"]
    assert not [name for name in names if "METHOD" in str(name) or "wp-admin" in str(name)]
    assert len(numbers(client)) - before < 40


def test_forecasts_alerts_and_images_are_counted(client):
    cube = CUBE.copy()
    cube[2] = 0
    client.predict(npy(cube))
    client.predict()
    result = numbers(client)
    assert result["flare_forecasts_total", "flare_class=C", "version=v1"] == 2
    assert result["flare_images_total",] == 80
    assert result["flare_images_missing_total",] == 10
    assert result["flare_alerts_total",] == 0
    assert result["flare_log10_flux_count",] == result["flare_mx_probability_count",] == 2
    assert result["flare_log10_flux_bucket", "le=-5.5"] == 0
    assert result["flare_log10_flux_bucket", "le=-5.0"] == 2
    assert result["flare_mx_probability_sum",] == pytest.approx(0.2)
    assert result["flare_forecast_seconds_count", "source=npy"] == 2
    assert result["flare_waiting_seconds_count",] == 2


def test_only_the_live_version_has_a_series_after_a_swap(client):
    source = client.app.state.service.follower._source
    model = "flare_model_live", "kind=fake", "name=solar-flare"
    assert numbers(client)[*model, "version=v1"] == 1
    source.current = "v2"
    client.poll()
    result = numbers(client)
    assert {name for name in result if name[0] == model[0]} == {(*model, "version=v2")}
    client.predict()
    assert numbers(client)["flare_forecasts_total", "flare_class=X", "version=v2"] == 1


def test_a_failed_poll_and_the_queue_are_gauges(client):
    result = numbers(client)
    assert result["flare_following_failed",] == result["flare_queue_requests",] == 0
    source = client.app.state.service.follower._source
    source.models["v3"] = ForecasterInvalid("broken")
    source.current = "v3"
    client.poll()
    assert numbers(client)["flare_following_failed",] == 1


def test_an_alert_is_counted_by_the_application_that_made_it():
    forecaster = FakeForecaster(log10_flux=-4.1, probabilities=(1, 1, 0.8, 0.1))
    with Client(FakeSource(v1=forecaster)) as client, Client(FakeSource()) as other:
        client.predict()
        result = numbers(client)
        assert numbers(other)["flare_alerts_total",] == 0
    assert result["flare_alerts_total",] == 1
    assert result["flare_forecasts_total", "flare_class=M", "version=v1"] == 1


def test_without_a_model_the_page_has_no_version():
    with Client(FakeSource()) as client:
        result = numbers(client)
    assert result["flare_queue_requests",] == 0
    assert not [name for name in result if name[0] == "flare_model_live"]


def test_inputs_that_moved_have_a_distance_of_each_channel_once_there_are_enough(
    client, monkeypatch
):
    monkeypatch.setattr("serving.metrics.DRIFT_SECONDS", 0.0)
    rng = np.random.default_rng(0)
    cubes = np.clip(rng.normal(rng.normal(60, 5, (80, 4, 10, 1, 1)), 9, (80, 4, 10, 8, 8)), 0, 255)
    fake = client.app.state.service.follower.live.forecaster
    fake.training_inputs = fit_training_inputs(
        plane_sums(cubes.astype(np.uint8)),
        np.ones((80, 4, 10), dtype=bool),
        {"M1.0": rng.random(80)},
        size=8,
    )
    client.predict()
    assert not [name for name in numbers(client) if name[0] == "flare_input_psi"]
    for _ in range(10):
        client.post("/predict_batch", content=npy(np.stack([CUBE, CUBE])))
    client.app.state.service.history.close()  # written by then
    result = numbers(client)
    assert result["flare_input_psi", "channel=94"] > 1
    assert result["flare_input_ks", "channel=94"] == 1
    assert result["flare_input_missing_share", "channel=94"] == 0
    assert ("flare_input_psi", "channel=forecast M1.0") in result
    assert result["flare_forecast_status_total", "status=abstain"] == 21
