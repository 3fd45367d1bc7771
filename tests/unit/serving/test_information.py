"""Health, the model, the history and the example input, as the server answers them."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from sample_images import all_images, form_of
from serving_fakes import CUBE, Client, FakeForecaster, FakeSource, npy

from flare.errors import DatasetNotFound, ModelNotFound, TrackingUnavailable
from flare.goes import EVENTS
from flare.sample import CHANNELS, N_CHANNELS
from serving.models.source import Loaded
from serving.routes.information import EXAMPLES, example_npy
from serving.uploads.arrays import sample_of_npy
from serving.uploads.upload import Upload

NO_ALIAS = ModelNotFound("'solar-flare' has no alias 'Production'")
AWAY = TrackingUnavailable("no answer from http://mlflow:5000")


def without_a_model(reason: Exception = NO_ALIAS, **settings: float) -> Client:
    source = FakeSource()
    source.current = reason
    return Client(source, **settings)


@pytest.mark.parametrize("path", ["/ready", "/model", "/predict_npy"])
def test_before_a_promotion_the_answer_is_503_and_says_what_to_run(path):
    with without_a_model(poll_seconds=7.2) as client:
        response = client.predict() if path == "/predict_npy" else client.get(path)
    problem = response.json()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "8")
    assert problem["error"] == "no_model"
    assert "mlflow run . -e promote" in problem["hint"]
    assert "no alias 'Production'" in problem["detail"]


def test_a_registry_that_does_not_answer_is_503_and_named():
    with without_a_model(AWAY) as client:
        response = client.predict()
    assert (response.status_code, response.json()["error"]) == (503, "registry_unavailable")
    assert response.json()["detail"].startswith("no model is loaded: ")
    assert "mlflow:5000" not in response.text


def test_health_is_200_without_a_model_and_says_why_there_is_none():
    with without_a_model() as client:
        response = client.get("/health")
    health = response.json()
    assert response.status_code == 200
    assert (health["status"], health["model_loaded"]) == ("no model", False)
    assert (health["model_name"], health["alias"]) == ("solar-flare", "Production")
    assert health["model_version"] is health["checkpoint_path"] is health["age_seconds"] is None
    assert "no alias 'Production'" in health["last_error"]


def test_with_a_model_health_describes_it_and_the_server_is_ready(shared):
    health = shared.get("/health").json()
    assert (health["status"], health["model_loaded"], health["device"]) == ("ok", True, "cpu")
    assert (health["model_version"], health["last_error"]) == ("v1", None)
    assert 0 <= health["age_seconds"] < 600
    ready = shared.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "model_version": "v1"})


def test_the_example_input_is_answered_as_it_is(shared):
    example = shared.get("/sample.npy")
    answer = shared.predict(example.content)
    assert example.headers["Content-Type"] == "application/octet-stream"
    assert answer.status_code == 200
    assert answer.json()["missing_images"] < N_CHANNELS


def score(event: str, name: str, value: float | None, **more: object) -> dict[str, object]:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"event": event, "name": name, "value": value, "low": low, "high": high, "n": 99, **more}


SCORES = (
    score("M1.0", "tss", 0.41, n_events=9, split="test", data="real", synthetic=False, scale="raw"),
    score("X1.0", "tss", None, n_events=0),
    score("flux", "mae", 0.6, unit="dex"),
)


DETAILS = {
    "run_id": "0" * 32,
    "parameters": {"epochs": "30"},
    "tags": {"flare.kind": "resnet"},
    "scores": SCORES,
    "scores_on": "test split",
    "reliability": [{"forecast": 0.4, "observed": 0.36, "low": 0.2, "high": 0.5, "n": 50}],
    "card": "# Model card\n",
}


class Detailed(FakeSource):
    details: dict = DETAILS

    def _loaded(self, version):
        result = super()._loaded(version)
        return Loaded(
            result.forecaster, version, result.name, result.folder, "models:/m/1", self.details
        )


def test_the_model_is_described_with_its_scores_and_its_card():
    with Client(Detailed(v1=FakeForecaster(synthetic=True))) as client:
        model = client.get("/model").json()
    assert (model["name"], model["version"], model["uri"]) == ("solar-flare", "v1", "models:/m/1")
    assert (model["kind"], model["run_id"], model["synthetic"]) == ("fake", "0" * 32, True)
    assert (model["parameters"], model["tags"]) == (DETAILS["parameters"], DETAILS["tags"])
    assert (model["scores_on"], model["card"]) == ("test split", "# Model card\n")
    assert model["scores"][0] == SCORES[0]
    assert model["reliability"] == DETAILS["reliability"]
    assert model["scores"][1]["value"] is model["scores"][1]["data"] is None
    assert (model["scores"][2]["name"], model["scores"][2]["n_events"]) == ("mae", None)
    assert model["channels"][-1] == "magnetogram"
    assert model["signature"]["inputs"]["shape"] == [4, 10, 256, 256]
    assert model["thresholds"] == dict.fromkeys(EVENTS, 0.5)


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"scores": None, "tags": None, "parameters": None, "card": None},
        {"scores": ({**SCORES[0], "low": math.nan, "high": math.inf},)},
        {"scores": ({"event": "M1.0", "name": "tss", "value": 0.4},)},
        {"scores": ({"of": "another format"},), "reliability": ({"forecast": 2},)},
    ],
)
def test_a_model_without_details_is_described(details):
    source = Detailed(v1=FakeForecaster())
    source.details = details
    with Client(source) as client:
        response = client.get("/model")
    assert response.status_code == 200
    assert all(one["high"] is None for one in response.json()["scores"])


def test_forecasts_are_in_the_history_the_newest_first(client):
    one = client.predict().json()
    body, content_type = form_of(all_images())
    client.post("/predict_images", content=body, headers={"Content-Type": content_type})
    client.post("/predict_batch", content=npy(np.stack([CUBE, CUBE])))
    client.predict(b"refused")
    service = client.app.state.service
    service.history.close()  # written by then
    answer = client.get("/history").json()
    assert answer["kept"] == 10_000
    assert [row["source"] for row in answer["forecasts"]] == ["batch", "batch", "images", "npy"]
    oldest = answer["forecasts"][-1]
    shared = oldest.keys() & one.keys()
    assert len(shared) == 21
    assert {key: oldest[key] for key in shared} == {key: one[key] for key in shared}
    assert len(client.get("/history?limit=3").json()["forecasts"]) == 3


@pytest.mark.parametrize(
    ("path", "names"),
    [(f"/history?limit={one}", "limit") for one in ("0", "-1", "501", "many", "1.5", "9" * 5000)]
    + [(f"/history?before={one}", "before") for one in ("0", "-1", "newest", "9" * 5000)]
    + [(f"/history.csv?{one}", one[:5]) for one in ("after=none", "since=2026-01-01", "limit=-1")],
)
def test_an_invalid_parameter_is_422_and_named(shared, path, names):
    response = shared.get(path)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_request")
    assert names in response.json()["detail"]


def test_the_pages_of_the_history_hold_every_forecast_once(client):
    client.post("/predict_batch", content=npy(np.stack([CUBE] * 5)))
    client.app.state.service.history.close()  # written by then
    ids, cursor, pages = [], "", 0
    while cursor is not None:
        page = client.get(f"/history?limit=2{cursor and f'&before={cursor}'}").json()
        ids += [row["id"] for row in page["forecasts"]]
        cursor, pages = page["next"], pages + 1
    assert (ids, pages) == ([5, 4, 3, 2, 1], 3)
    assert client.get("/history?limit=5").json()["next"] is None
    assert client.get(f"/history?before={2**70}").json()["forecasts"][0]["id"] == 5


def test_the_history_as_csv_has_links_to_its_pages(client):
    client.post("/predict_batch", content=npy(np.stack([CUBE] * 5)))
    client.app.state.service.history.close()  # written by then
    whole = client.get("/history.csv")
    assert whole.headers["content-type"].startswith("text/csv")
    header, *rows = whole.text.splitlines()
    assert (header.split(",")[:3], len(rows)) == (["forecast_id", "issue_time", "valid_from"], 5)
    path, pages = "/history.csv?limit=2", []
    while path:
        page = client.get(path)
        pages += page.text.splitlines()[1:]
        path = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert pages == rows


TIMES = ("2012-01-15T000000", "2012-01-15T070000", "2012-01-15T103000", "2012-01-15T115000")


def write_image(path, grey: int) -> None:
    """Write an image whose mean is this grey; one of that value alone would be no image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((256, 256), grey, dtype=np.uint8)
    pixels[:128] -= 4
    pixels[128:] += 4
    Image.fromarray(pixels).save(path)


@pytest.fixture
def sample(tmp_path):
    for step, time in enumerate(TIMES):
        for index, channel in enumerate(CHANNELS):
            write_image(tmp_path / "a" / f"{time}__{channel}.jpg", 10 + step * N_CHANNELS + index)
    return tmp_path


def test_each_image_of_the_example_is_at_its_step_and_channel_and_others_are_not_read(sample):
    write_image(sample / "b" / f"{TIMES[0]}__94.jpg", 250)
    write_image(sample / "a" / f"{TIMES[0]}__1600.jpg", 250)
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert (planes.shape, planes.dtype) == ((40, 256, 256), np.uint8)
    assert planes.mean(axis=(1, 2)).round().tolist() == list(range(10, 50))


def test_an_image_that_is_damaged_or_not_there_is_missing(sample):
    (sample / "a" / f"{TIMES[0]}__94.jpg").write_bytes(b"damaged")
    (sample / "a" / f"{TIMES[3]}__magnetogram.jpg").unlink()
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert np.flatnonzero(~planes.any(axis=(1, 2))).tolist() == [0, 39]


def test_an_example_without_images_names_the_folder(tmp_path):
    with pytest.raises(DatasetNotFound, match=str(tmp_path)):
        example_npy(tmp_path)


def test_every_image_of_the_committed_example_is_in_it():
    cube = sample_of_npy(Upload(example_npy(EXAMPLES))).cubes[0]
    images = len(list(EXAMPLES.glob("*/*.jpg")))
    assert cube.any(axis=(2, 3)).sum() == images > N_CHANNELS
