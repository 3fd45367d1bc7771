import re
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from serving_fakes import CUBE, NPY, Client, FakeForecaster, FakeSource, npy

from serving.http.problems import ErrorCode, without_places
from serving.uploads.body import UNREAD_BYTES

PROBLEM = {"type", "title", "status", "error", "detail", "hint", "request_id"}
LIMIT = 3 * 2**20


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource(v1=FakeForecaster()), max_upload_bytes=LIMIT) as client:
        yield client


def assert_problem(response: httpx.Response, status: int, error: str) -> dict[str, str]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body.keys() == PROBLEM
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"] == HTTPStatus(status).phrase
    assert body["error"] == error
    assert body["hint"]
    return body


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"not an array", 415, "not_npy"),
        (b"", 400, "empty"),
        (NPY[:-1], 400, "wrong_length"),
        (npy(CUBE[0]), 422, "wrong_shape"),
        (npy(CUBE * 0), 422, "all_missing"),
    ],
)
def test_a_bad_upload_is_a_problem_with_its_code(client, data, status, error):
    assert_problem(client.predict(data), status, error)


@pytest.mark.parametrize(
    ("given", "status", "error", "says"),
    [
        ({"files": {"wrong": ("a.npy", b"x")}}, 422, "no_file", "`file`"),
        ({"json": {"file": "sample.npy"}}, 415, "wrong_type", "application/json"),
        (
            {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "bad_form",
            "boundary",
        ),
    ],
)
def test_a_body_that_is_no_upload_is_a_problem(client, given, status, error, says):
    body = assert_problem(client.post("/predict_npy", **given), status, error)
    assert says in body["detail"]


def test_an_unknown_path_is_404(client):
    body = assert_problem(client.get("/predict"), 404, "not_found")
    assert "/predict" in body["detail"]


def test_a_wrong_method_is_405_and_names_the_right_one(client):
    response = client.get("/predict_npy")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_a_body_whose_content_length_is_too_large_is_refused_before_it_is_read(client):
    async def unreadable():
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Length": str(LIMIT + 1)}
    response = client.post("/predict_npy", content=unreadable(), headers=headers)
    body = assert_problem(response, 413, "too_large")
    assert str(LIMIT) in body["detail"]


@pytest.mark.parametrize("path", ["/health", "/history", "/nothing"])
def test_only_a_post_may_have_a_large_body(client, path):
    few = {"Content-Length": str(UNREAD_BYTES)}
    assert client.get(path, headers=few).status_code == client.get(path).status_code
    for headers in ({"Content-Length": str(UNREAD_BYTES + 1)}, {"Transfer-Encoding": "chunked"}):
        body = assert_problem(client.get(path, headers=headers), 413, "too_large")
        assert "only a POST" in body["detail"]


def test_a_body_without_a_length_is_refused_once_it_is_too_large(client):
    sent = 0

    async def endless():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.npy"\r\n\r\n'
        while sent < 10 * LIMIT:
            sent += 2**18
            yield bytes(2**18)

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"}
    response = client.post("/predict_npy", content=endless(), headers=headers)
    assert_problem(response, 413, "too_large")
    assert sent <= LIMIT + 2**18


def test_a_defect_is_500_with_a_request_id_and_without_its_text(client, caplog, monkeypatch):
    def defect(*_, **__):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("serving.service.predict", defect)
    response = client.predict()
    body = assert_problem(response, 500, "internal_error")
    assert "a secret" not in response.text
    assert "Traceback" not in response.text
    logged = next(record for record in caplog.records if body["request_id"] in record.message)
    assert logged.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("path", ["/predict_npy", "/predict_images", "/predict_batch"])
@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "multipart/form-data"])
def test_an_empty_body_is_called_empty(client, path, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    body = assert_problem(client.post(path, content=b"", headers=headers), 400, "empty")
    assert body["detail"] == "the body is empty"


def test_every_code_is_used_and_documented(client):
    root = Path(__file__).resolve().parents[3]
    paths = [*(root / "serving").rglob("*.py"), *(root / "flare" / "images").rglob("*.py")]
    source = "".join(p.read_text(encoding="utf-8") for p in paths)
    source = re.sub(r"class ErrorCode.*?class Problem", "", source, flags=re.DOTALL)
    raised = r"(?:Refused|problem|NpyRejected|_bad_zip)\((?:\s*\d+,)?\s*\"([a-z_]+)\""
    codes = {str(code) for code in ErrorCode}
    assert {*re.findall(raised, source)} <= codes
    assert [code for code in codes if f'"{code}"' not in source] == []
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert set(schemas["ErrorCode"]["enum"]) == codes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "the registry http://mlflow:5000 does not answer",
            "the registry (hidden) does not answer",
        ),
        ("no alias 'P' in sqlite:////srv/x.db; promote", "no alias 'P' in (hidden); promote"),
        ("version 3: /srv/m has no weights", "version 3: (hidden) has no weights"),
        ("no images in C:\\data\\x; check", "no images in (hidden); check"),
        ("cannot reach 10.0.0.3:5000 within 0.05 s", "cannot reach (hidden) within 0.05 s"),
        ("host db:5432 is away", "host (hidden) is away"),
        ("Pool(host='db.internal', port=5000)", "Pool(host='(hidden)', (hidden))"),
    ],
)
def test_paths_and_addresses_are_hidden_and_the_rest_stays(text, shown):
    assert without_places(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "no model is loaded: the first one is still being loaded",
        "the probabilities [0.1 2.] are not within 0 and 1",
        "version v1: damaged; promote another version",
        "no forecast within 0.05 s (FLARE_TIME_LIMIT_SECONDS)",
    ],
)
def test_a_message_without_places_stays_as_it_is(text):
    assert without_places(text) == text
