"""Where a key is set, forecasts, history, metrics and the model need it; health never does."""

import pytest
from serving_fakes import NPY, Client, FakeForecaster, FakeSource

from flare.errors import ConfigInvalid, TrackingUnavailable
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


WRONG = [
    {},
    {"X-API-Key": ""},
    {"X-API-Key": KEY[:-1]},
    {"X-API-Key": KEY.upper()},
    {"X-API-Key": "schlüssel".encode()},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {KEY}"},
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_the_right_key_the_answer_is_401_before_the_body_is_read(client, method, path):
    async def unreadable():
        raise AssertionError("the body was read")
        yield b""

    for headers in WRONG:
        body = {"content": unreadable()} if method == "POST" else {}
        response = ask(client, method, path, headers=headers, **body)
        assert response.status_code == 401, headers
        assert response.headers["WWW-Authenticate"] == "Bearer"
        problem = response.json()
        assert problem["error"] == "unauthorized"
        assert "X-API-Key" in problem["hint"]
        assert KEY not in response.text


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_the_key_is_accepted_as_a_header_and_as_a_bearer_token(client, method, path):
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        response = ask(client, method, path, headers=headers)
        assert response.status_code in ((200,) if method == "GET" else (400, 415))


def test_with_the_key_a_forecast_is_made(client):
    response = client.post("/predict_npy", content=NPY, headers={"X-API-Key": KEY})
    assert response.status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_health_and_the_documentation_are_open(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("empty", ["", " \n"])
def test_a_server_with_an_empty_key_or_none_needs_no_key(monkeypatch, empty):
    monkeypatch.setenv("FLARE_API_KEY", empty)
    assert read_settings().api_key is None
    with Client(FakeSource(v1=FakeForecaster()), api_key=read_settings().api_key) as client:
        assert client.predict().status_code == 200
        for path in ("/model", "/history", "/metrics"):
            assert client.get(path).status_code == 200
        with_a_key = client.get("/health", headers={"X-API-Key": ""}).json()
    assert with_a_key["checkpoint_path"] is None


def test_the_documentation_says_where_the_key_goes(client):
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {(one["type"], one.get("name"), one.get("scheme")) for one in schemes.values()} == {
        ("apiKey", "X-API-Key", None),
        ("http", None, "bearer"),
    }


@pytest.mark.parametrize("key", ["short", "schlüssel-schlüssel", f"{KEY} short"])
def test_a_short_key_or_one_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("FLARE_API_KEY", key)
    with pytest.raises(ConfigInvalid, match="FLARE_API_KEY") as raised:
        read_settings()
    assert key not in str(raised.value)


NEW = "another-horse-battery"


@pytest.mark.parametrize("between", [" ", "\n", "  \n"])
def test_one_key_can_replace_another_while_both_are_accepted(monkeypatch, between):
    monkeypatch.setenv("FLARE_API_KEY", f"{NEW}{between}{KEY}\n")
    settings = read_settings()
    assert settings.api_keys == (NEW, KEY)
    with Client(FakeSource(v1=FakeForecaster()), api_key=settings.api_key) as client:
        for key in (NEW, KEY):
            assert client.get("/model", headers={"X-API-Key": key}).status_code == 200
        for key in (f"{NEW} {KEY}", f"{NEW}{KEY}", ""):
            assert client.get("/model", headers={"X-API-Key": key}).status_code == 401


AWAY = TrackingUnavailable("the registry http://db.internal:5000 and /srv/flare do not answer")


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_paths_and_addresses_are_shown_only_with_the_key(path, key):
    def asked(**headers: str) -> str:
        return client.get(path, headers=headers).text

    source = FakeSource()
    source.current = AWAY
    with Client(source, api_key=key) as client:
        none, wrong = asked(), asked(**{"X-API-Key": "wrong"})
        known = asked(Authorization=f"Bearer {KEY}")
    for text in (none, wrong):
        assert "db.internal" not in text
        assert "/srv" not in text
        assert "the registry (hidden) and (hidden) do not answer" in text
    assert ("http://db.internal:5000 and /srv/flare" in known) == (key is not None)


def test_the_folder_of_the_model_is_shown_only_with_the_key(client):
    assert client.get("/health").json()["checkpoint_path"] is None
    known = client.get("/health", headers={"X-API-Key": KEY}).json()
    assert known["checkpoint_path"] == "/models/v1"


def test_the_404_of_a_missing_example_names_no_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("serving.routes.information.EXAMPLES", tmp_path)
    with Client(FakeSource()) as client:
        answer = client.get("/sample.npy")
    assert (answer.status_code, answer.json()["error"]) == (404, "no_example")
    assert str(tmp_path) not in answer.text
