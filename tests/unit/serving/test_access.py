"""What every answer carries, and the line that every request leaves in the log."""

import json
from datetime import datetime

import pytest
from serving_fakes import NPY, Client, FakeForecaster, FakeSource

from serving.http.request_log import JsonLines, Text

LIMIT = 3 * 2**20
SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def client():
    source = FakeSource(v1=FakeForecaster())
    with Client(source, max_upload_bytes=LIMIT, access_log=True) as client:
        yield client


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", logger="flare.access")
    return lambda: [
        json.loads(JsonLines().format(record))
        for record in caplog.records
        if record.name == "flare.access"
    ]


def test_an_id_of_the_client_is_in_the_answer_the_problem_and_the_log(client, lines):
    given = {"X-Request-ID": "page-42:a.b_c"}
    response = client.post("/predict_npy", content=b"x", headers=given)
    assert response.headers["x-request-id"] == "page-42:a.b_c"
    assert response.json()["request_id"] == "page-42:a.b_c"
    assert lines()[-1]["request_id"] == "page-42:a.b_c"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '"}\n{', "ü".encode(), "<script>"])
def test_an_invalid_id_is_replaced(client, given):
    response = client.get("/health", headers={"X-Request-ID": given})
    assert len(response.headers["x-request-id"]) == 32


def answers(client, monkeypatch):
    yield 200, client.get("/health")
    yield 200, client.predict()
    yield 404, client.get("/nothing")
    yield 405, client.get("/predict_npy")
    yield 415, client.predict(b"text")
    yield 413, client.post("/predict_npy", content=b"", headers={"Content-Length": str(LIMIT + 1)})
    yield 413, client.post("/predict_npy", content=b"", headers={"Content-Length": "9" * 5000})
    yield 413, client.post("/predict_npy", content=bytes(LIMIT + 1))
    monkeypatch.setattr("serving.service.predict", lambda *_, **__: 1 / 0)
    yield 500, client.predict()


def test_every_answer_has_the_security_headers_and_an_id(client, monkeypatch):
    for status, response in answers(client, monkeypatch):
        assert response.status_code == status
        assert response.headers.items() >= SECURE.items()
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-request-id"]
        if status != 200:
            assert response.json()["request_id"] == response.headers["x-request-id"]


def test_only_the_documentation_may_have_inline_scripts(client):
    policies = {
        path: client.get(path).headers["content-security-policy"] for path in ("/docs", "/health")
    }
    assert "script-src 'self' 'unsafe-inline'" in policies["/docs"]
    assert "unsafe-inline" not in policies["/health"]


def test_the_log_has_a_line_of_json_for_each_request(client, lines):
    client.predict()
    client.get("/health")
    forecast, health = lines()
    assert forecast.keys() == {
        "time", "level", "message", "request_id", "client", "method", "path", "status", "ms",
        "model_version", "forecasts",
    }  # fmt: skip
    assert (forecast["method"], forecast["path"], forecast["status"]) == (
        "POST",
        "/predict_npy",
        200,
    )
    assert (forecast["model_version"], forecast["forecasts"]) == ("v1", 1)
    assert forecast["ms"] > 0
    assert datetime.fromisoformat(forecast["time"]).utcoffset().total_seconds() == 0
    assert "model_version" not in health


@pytest.mark.parametrize("form", [JsonLines(), Text()])
def test_a_path_cannot_forge_a_line(client, caplog, lines, form):
    client.get("/a%0Aforged%1b[2J%e2%80%a8")
    (line,) = [form.format(one) for one in caplog.records if one.name == "flare.access"]
    assert line.isprintable()
    assert "forged" in line


def test_a_query_which_may_hold_a_secret_is_not_logged(client, lines):
    client.get("/health?key=secret")
    assert lines()[0]["path"] == "/health"
    assert "secret" not in str(lines())


def test_the_log_can_be_turned_off(lines):
    with Client(FakeSource(v1=FakeForecaster()), access_log=False) as client:
        client.predict()
    assert lines() == []


ORIGIN = "https://flares.example"


def test_no_other_origin_may_call_by_default(client):
    response = client.get("/health", headers={"Origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = client.run(client.http.options("/predict_npy", headers=asked))
    assert preflight.status_code == 405


def test_an_origin_that_was_named_may_call_and_another_may_not():
    with Client(FakeSource(v1=FakeForecaster()), cors_origins=(ORIGIN,)) as client:
        headers = {"Origin": ORIGIN}
        answer = client.post("/predict_npy", content=NPY, headers=headers)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        asked = headers | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        assert client.run(client.http.options("/predict_npy", headers=asked)).status_code == 200
        refused = client.post("/predict_npy", content=b"x", headers=headers)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (
            415,
            ORIGIN,
        )
        other = client.get("/health", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
