"""The same sample gets the same numbers in every form; and the limits of a request."""

import asyncio
import gzip
import itertools
import threading
from dataclasses import replace

import httpx
import numpy as np
import pytest
from sample_images import RAMP, all_images, encoded, form_of, name_of, zip_of
from serving_fakes import CUBE, NPY, Blocking, Client, FakeForecaster, FakeSource, npy

from flare.errors import ForecasterInvalid, ModelNotFound
from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.sample import CHANNELS
from serving.uploads.arrays import PIECE
from serving.uploads.images import sample_of_images
from serving.uploads.upload import Upload


class Looking(FakeForecaster):
    """Answers by what it is shown."""

    def predict(self, cubes: np.ndarray, present: np.ndarray) -> Forecast:
        self.asked.append(cubes)
        flux = -9 + cubes.mean(axis=(1, 2, 3, 4)) / 50 + present.sum(axis=(1, 2)) / 100
        probability = np.linspace(0.9, 0.1, len(EVENTS)) * (flux[:, None] + 9) / 9
        return Forecast(flux, flux - 1, flux + 1, probability, EVENTS)


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource(v1=Looking())) as client:
        yield client


def post(client: Client, path: str, body: bytes, content_type: str) -> httpx.Response:
    return client.post(path, content=body, headers={"Content-Type": content_type})


def numbers(answer: dict) -> dict:
    """Return an answer without what says which forecast it is."""
    own = {"forecast_id", "issue_time", "valid_from", "valid_to", "input_digest"}
    return {name: value for name, value in answer.items() if name not in own}


def test_a_raw_body_and_a_form_get_the_same_numbers(client):
    form = client.predict().json()
    for headers in ({}, {"Content-Type": "application/octet-stream"}):
        answer = client.post("/predict_npy", content=NPY, headers=headers).json()
        assert answer["input_digest"] == form["input_digest"]
        assert numbers(answer) == numbers(form)
    assert form["log_flux"] != client.predict(npy(CUBE // 2 + 1)).json()["log_flux"]


def test_images_a_zip_of_them_and_their_array_get_the_same_numbers(client):
    images = {k: v for k, v in all_images().items() if "__171" not in k}
    body, content_type = form_of(images)
    sample = sample_of_images(Upload(body, content_type))
    array = client.predict(npy(sample.cubes[0])).json()
    sent = post(client, "/predict_images", body, content_type).json()
    assert sent.pop("left_out") == []
    assert numbers(sent) == numbers(array)
    assert sent["missing_images"] == 4
    assert {one["channel"] for one in sent["missing"]} == {"171"}
    zipped = post(client, "/predict_images", zip_of(images), "application/zip").json()
    assert zipped.pop("left_out") == []
    assert numbers(zipped) == numbers(array)
    assert (array["valid_from"], array["valid_to"]) == (None, None)
    assert sent["input_digest"] == zipped["input_digest"]
    for answer in (sent, zipped):  # images of TIMES, whose window begins at 19:36
        assert answer["issue_time"] == answer["valid_from"] == "2013-09-19T07:36:00Z"
        assert answer["valid_to"] == "2013-09-20T07:36:00Z"


def test_images_that_were_left_out_are_named_and_count_as_missing(client):
    name = name_of(2, "magnetogram")
    body, content_type = form_of(all_images() | {name: encoded(RAMP * 0)})
    answer = post(client, "/predict_images", body, content_type).json()
    assert answer["left_out"] == [{"file": name, "reason": "uniform"}]
    assert answer["missing"] == [{"step": 2, "channel": "magnetogram"}]


def test_a_batch_gets_the_numbers_of_its_samples_alone(client):
    batch = np.stack([CUBE, CUBE // 2 + 1, CUBE // 3 + 1])
    batch[1, 0, 0] = 0
    answer = client.post("/predict_batch", content=npy(batch)).json()
    assert (answer["model_name"], answer["model_version"]) == ("solar-flare", "v1")
    assert [one.pop("id") for one in answer["forecasts"]] == ["0", "1", "2"]
    alone = [client.predict(npy(one)).json() for one in batch]
    assert [numbers(one) for one in answer["forecasts"]] == [numbers(one) for one in alone]
    assert len({one["forecast_id"] for one in [*alone, *answer["forecasts"]]}) == 6
    assert len({one["input_digest"] for one in answer["forecasts"]}) == 3
    assert len({one["log_flux"] for one in answer["forecasts"]}) == 3


def test_a_batch_is_forecast_in_pieces(client):
    asked = client.app.state.service.follower.live.forecaster.asked
    before = len(asked)
    client.post("/predict_batch", content=npy(np.stack([CUBE] * 5)))
    assert [len(cubes) for cubes in asked[before:]] == [PIECE, PIECE, 1]


def test_a_batch_of_a_client_that_hangs_up_is_not_computed_to_its_end():
    model = FakeForecaster()
    body = npy(np.stack([CUBE] * 9))

    async def scenario(client: Client) -> None:
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if left:
                return left.pop()
            if len(model.asked) < 3:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(_):
            pass

        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/predict_batch",
            "raw_path": b"/predict_batch", "root_path": "", "query_string": b"", "headers": [],
        }  # fmt: skip
        await client.app(scope, receive, send)

    with Client(FakeSource(v1=model), max_batch=9) as client:
        client.run(scenario(client))
        assert client.app.state.service.pool.requests == 0
    assert [len(cubes) for cubes in model.asked] == [2, PIECE, PIECE]


@pytest.mark.parametrize("path", ["/predict_npy", "/predict_batch", "/predict_images"])
def test_a_body_that_is_compressed_as_a_whole_is_415_and_says_so(client, path):
    packed = gzip.compress(NPY)
    by_header = client.post(path, content=packed, headers={"Content-Encoding": "gzip"})
    assert (by_header.status_code, by_header.json()["error"]) == (415, "compressed")
    assert "uncompressed" in by_header.json()["hint"]
    by_content = client.post(path, content=packed)
    assert by_content.status_code == 415
    assert "compressed with gzip" in by_content.json()["detail"]


@pytest.mark.parametrize(
    ("codings", "status"),
    [(["identity", ""], 200), (["identity, identity"], 200), (["identity", "br"], 415)],
)
def test_every_header_that_states_a_content_encoding_counts(client, codings, status):
    headers = [("Content-Encoding", one) for one in codings]
    assert client.post("/predict_npy", content=NPY, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/predict_npy", "/predict_batch"])
def test_floats_of_either_scale_are_refused_until_the_query_states_it(client, path):
    array = CUBE / 255 * 1.001 if path == "/predict_npy" else CUBE[None] / 255 * 1.001
    refused = client.post(path, content=npy(array))
    assert (refused.status_code, refused.json()["error"]) == (422, "ambiguous_scale")
    assert "scale=fraction" in refused.json()["hint"]
    stated = client.post(f"{path}?scale=level", content=npy(array * 100)).json()
    assert [one["scale"] for one in stated.get("forecasts", [stated])] == ["level"]
    wrong = client.post(f"{path}?scale=levels", content=npy(array))
    assert (wrong.status_code, wrong.json()["error"]) == (422, "invalid_request")
    both = client.post(f"{path}?scale=fraction&scale=level", content=npy(array))
    assert (both.status_code, both.json()["error"]) == (422, "wrong_scale")


@pytest.mark.parametrize(("array", "scale"), [(CUBE, "level"), (CUBE / 255, "fraction")])
def test_an_answer_says_on_which_scale_the_sample_was_read(client, array, scale):
    assert client.post("/predict_npy", content=npy(array)).json()["scale"] == scale
    batch = client.post("/predict_batch", content=npy(array[None])).json()
    assert batch["forecasts"][0]["scale"] == scale


@pytest.mark.parametrize("grey", [0, 128])
def test_an_image_of_a_single_value_is_missing_wherever_it_is_sent(client, grey):
    gap = {"step": 1, "channel": "304"}
    files = all_images() | {name_of(1, "304"): encoded(np.full((256, 256), grey, np.uint8))}
    cube = CUBE.copy()
    cube[1, CHANNELS.index("304")] = grey
    answers = [
        client.post("/predict_npy", content=npy(cube)),
        client.post("/predict_npy", content=npy(cube / 255)),
        post(client, "/predict_images", *form_of(files)),
        post(client, "/predict_images", zip_of(files), "application/zip"),
    ]
    batch = client.post("/predict_batch", content=npy(cube[None])).json()["forecasts"]
    for answer in (*(one.json() for one in answers), *batch):
        assert answer["missing"] == [gap]


def test_one_of_several_requests_takes_one_core_and_the_only_one_takes_all(monkeypatch):
    one_core, all_cores = FakeForecaster(), FakeForecaster()
    waiting = Blocking()
    monkeypatch.setattr(
        "serving.models.follower.with_threads_for",
        lambda _, loaded: replace(loaded, multi_core=all_cores),
    )

    async def two(client: Client) -> None:
        first = asyncio.create_task(client.predicting())
        await asyncio.to_thread(waiting.entered.wait, 60)
        assert (await client.predicting()).status_code == 200
        waiting.go_on.set()
        assert (await first).status_code == 200

    with Client(FakeSource(v1=one_core), threads=2) as client:
        client.predict()
        assert (len(one_core.asked), len(all_cores.asked)) == (1, 2)  # self-tests too
    all_cores = waiting
    with Client(FakeSource(v1=one_core), threads=2) as client:
        client.run(two(client))
    assert (len(one_core.asked), len(waiting.asked)) == (3, 2)


def test_when_all_places_are_in_use_the_answer_is_503_busy():
    stuck = Blocking()

    async def scenario(client: Client):
        first = asyncio.create_task(client.predicting())
        await asyncio.to_thread(stuck.entered.wait, 60)
        busy = await client.predicting()
        health = await client.http.get("/health")
        stuck.go_on.set()
        return await first, busy, health, await client.predicting()

    with Client(FakeSource(v1=stuck), threads=1, max_waiting=0) as client:
        first, busy, health, after = client.run(scenario(client))
    assert (busy.status_code, busy.json()["error"]) == (503, "busy")
    assert busy.headers["Retry-After"] == "1"
    assert "Retry-After" in busy.json()["hint"]
    assert (first.status_code, health.status_code, after.status_code) == (200, 200, 200)


def test_after_the_time_limit_the_answer_is_503_and_says_which_setting():
    stuck = Blocking()
    settings = {"threads": 1, "time_limit_seconds": 0.05, "poll_seconds": 9}
    with Client(FakeSource(v1=stuck), **settings) as client:
        response = client.predict()
        stuck.go_on.set()
    assert (response.status_code, response.json()["error"]) == (503, "took_too_long")
    assert int(response.headers["Retry-After"]) >= 1
    assert "FLARE_TIME_LIMIT_SECONDS" in response.json()["detail"]


def test_an_upload_that_takes_too_long_is_408_and_frees_its_place():
    async def slow():
        yield NPY[:1000]
        await asyncio.Event().wait()

    with Client(FakeSource(v1=FakeForecaster()), upload_seconds=0.05) as client:
        response = client.post("/predict_npy", content=slow())
        assert client.app.state.service.buffers.bytes == 0
        assert client.predict().status_code == 200
    assert (response.status_code, response.json()["error"]) == (408, "too_slow")
    assert "FLARE_UPLOAD_SECONDS" in response.json()["detail"]


def test_flux_class_and_probability_are_the_forecasters_own_numbers():
    forecaster = FakeForecaster(log10_flux=-5.24, probabilities=(0.9, 0.6, 0.1, 0.01))
    with Client(FakeSource(v7=forecaster)) as client:
        answer = client.predict().json()
    expected = {
        "log_flux": -5.24, "flare_class": "C", "goes_class": "C5.7", "mx_probability": 0.1,
        "is_mx_flare": False, "interval_level": 0.9, "window_hours": 24,
        "probabilities": {"B1.0": 0.9, "C1.0": 0.6, "M1.0": 0.1, "X1.0": 0.01},
        "model_name": "solar-flare", "model_version": "v7", "missing_images": 0,
    }  # fmt: skip
    assert {name: answer[name] for name in expected} == expected
    fluxes = [answer[name] for name in ("flux_low_w_m2", "peak_flux_w_m2", "flux_high_w_m2")]
    assert fluxes == pytest.approx([10**-6.24, 10**-5.24, 10**-4.24])


def test_a_promotion_is_served_without_a_restart_and_a_broken_one_keeps_the_old_model():
    source = FakeSource()
    source.current = ModelNotFound("'solar-flare' has no alias 'Production'")
    source.models = {"v1": FakeForecaster(), "v2": ForecasterInvalid("weights are missing")}
    with Client(source) as client:
        assert client.predict().status_code == 503
        for version in ("v1", "v2"):
            source.current = version
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
