"""Where a key is set, forecasts, history, metrics and the model need it; health never does."""

import pytest
from serving_fakes import NPY, Client, FakeForecaster, FakeSource

from flare.errors import ConfigInvalid
from serving.settings import read_settings

KEY = "correct-horse-battery"
CLOSED = [
    ("POST", "/predict_npy"),
    ("POST", "/predict_images"),
    ("POST", "/predict_batch"),
    ("GET", "/model"),
    ("GET", "/history"),
    ("GET", "/metrics"),
]
OPEN = ["/health", "/ready", "/sample.npy", "/openapi.json"]


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource(v1=FakeForecaster()), api_key=KEY) as client:
        yield client


def ask(client: Client, method: str, path: str, **kwargs: object):
    return client.run(client.http.request(method, path, **kwargs))


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "schlüssel".encode()},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
    ],
)
def test_without_the_right_key_the_answer_is_401_before_the_body_is_read(
    client, method, path, headers
):
    async def unreadable():
        raise AssertionError("the body was read")
        yield b""

    body = {"content": unreadable()} if method == "POST" else {}
    response = ask(client, method, path, headers=headers, **body)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    problem = response.json()
    assert problem["error"] == "unauthorized"
    assert "X-API-Key" in problem["hint"]
    assert KEY not in response.text


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}])
def test_the_key_opens_as_a_header_and_as_a_bearer_token(client, method, path, headers):
    response = ask(client, method, path, headers=headers)
    assert response.status_code in ((200,) if method == "GET" else (400, 415))


def test_with_the_key_a_forecast_is_made(client):
    response = client.post("/predict_npy", content=NPY, headers={"X-API-Key": KEY})
    assert response.status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_health_and_the_documentation_are_open(client, path):
    assert client.get(path).status_code == 200


def test_without_a_key_all_is_open():
    with Client(FakeSource(v1=FakeForecaster()), api_key=None) as client:
        assert client.get("/metrics").status_code == 200
        assert client.predict().status_code == 200


def test_the_documentation_says_where_the_key_goes(client):
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {(one["type"], one.get("name"), one.get("scheme")) for one in schemes.values()} == {
        ("apiKey", "X-API-Key", None),
        ("http", None, "bearer"),
    }


@pytest.mark.parametrize("key", ["short", "schlüssel-schlüssel", "with a space", "tab\tnewline\n"])
def test_a_key_that_is_guessed_or_that_no_header_carries_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("FLARE_API_KEY", key)
    with pytest.raises(ConfigInvalid, match="FLARE_API_KEY") as raised:
        read_settings()
    assert key not in str(raised.value)


def test_an_empty_key_is_none(monkeypatch):
    monkeypatch.setenv("FLARE_API_KEY", "")
    assert read_settings().api_key is None
