from dataclasses import replace

import numpy as np
import pytest
from sample_images import all_images, zip_of
from serving_fakes import CUBE, NPY, Blocking, Client, FakeForecaster, FakeSource

from flare.forecast import Forecast
from flare.forecasters.base import ForecasterSpec


class Corner(FakeForecaster):
    """P(M1.0) is a tenth of the brightness of the upper left of the last magnetogram."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.spec = ForecasterSpec(image_size=32)

    def predict(self, cubes: np.ndarray, present: np.ndarray) -> Forecast:
        forecast = super().predict(cubes, present)
        edge = cubes.shape[-1] // 8
        probability = forecast.probability.copy()
        probability[:, 2] = cubes[:, 3, 9, :edge, :edge].mean(axis=(1, 2)) / 2550
        probability[:, 3] = 0
        return replace(forecast, probability=probability)


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource(v1=Corner()), explain_seconds=600) as client:  # on a busy machine
        yield client


@pytest.mark.parametrize(
    "given", [{"files": {"file": ("sample.npy", NPY)}}, {"content": NPY}], ids=["form", "raw"]
)
def test_an_upload_is_explained_by_image_channel_time_and_place(client, given):
    answer = client.post("/explain", **given).json()
    brightness = pytest.approx(CUBE[3, 9, :32, :32].mean() / 25.5, rel=0.01)
    assert 100 * answer["probability"] == brightness
    assert (answer["event"], answer["model_version"]) == ("M1.0", "v1")
    assert answer["images"][3][9] == brightness
    assert answer["channels"][9] == answer["steps"][3] == brightness
    places = np.array(answer["places"])
    assert places.shape == (8, 8)
    assert np.abs(places).argmax() == 0
    assert not places[3:].any()
    assert client.get("/history").json()["forecasts"] == []  # it is no forecast


def test_images_in_a_zip_are_explained_as_the_array_is(client):
    answer = client.post("/explain", content=zip_of(all_images()))
    assert answer.status_code == 200
    assert np.shape(answer.json()["images"]) == (4, 10)


def test_get_explains_the_example(client):
    answer = client.get("/explain?event=C1.0").json()
    assert answer["event"] == "C1.0"
    assert answer["images"][1][8] is None  # the example lacks this image


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"content": b""}, 400),
        ({"content": b"no array"}, 415),
        ({"content": NPY[:-1]}, 400),
        ({"content": NPY, "params": {"event": "M2.0"}}, 422),
    ],
)
def test_what_cannot_be_explained_is_refused_with_a_problem(client, given, status):
    answer = client.post("/explain", **given)
    assert answer.status_code == status
    assert {"error", "detail", "hint"} <= answer.json().keys()


def test_after_its_time_limit_an_explanation_is_refused_and_names_the_setting():
    forecaster = Blocking()
    with Client(FakeSource(v1=forecaster), explain_seconds=0.05) as client:
        answer = client.post("/explain", content=NPY)
        forecaster.go_on.set()
    assert answer.status_code == 503
    assert "FLARE_EXPLAIN_SECONDS" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "1"
