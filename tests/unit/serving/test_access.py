"""What every answer carries, what is refused at the door, and the log of requests."""

import json
from datetime import datetime

import pytest
from serving_fakes import NPY, Client, FakeForecaster, FakeSource

from flare.errors import ConfigInvalid, TrackingUnavailable
from serving.http.request_log import JsonLines, Text
from serving.settings import read_settings

LIMIT = 3 * 2**20
SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def client_with(**settings: object) -> Client:
    return Client(FakeSource(v1=FakeForecaster()), **settings)


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", logger="flare.access")
    return lambda: [
        json.loads(JsonLines().format(record))
        for record in caplog.records
        if record.name == "flare.access"
    ]


def test_an_id_of_the_client_is_in_the_answer_the_problem_and_the_log(shared, lines):
    given = {"X-Request-ID": "page-42:a.b_c"}
    response = shared.post("/predict_npy", content=b"x", headers=given)
    ids = {response.headers["x-request-id"], response.json()["request_id"]}
    assert ids | {lines()[-1]["request_id"]} == {"page-42:a.b_c"}


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '"}\n{', "ü".encode(), "<script>"])
def test_an_invalid_id_is_replaced(shared, given):
    response = shared.get("/health", headers={"X-Request-ID": given})
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


def test_every_answer_has_the_security_headers_and_an_id(monkeypatch):
    with client_with(max_upload_bytes=LIMIT) as client:
        for status, response in answers(client, monkeypatch):
            assert response.status_code == status
            assert response.headers.items() >= SECURE.items()
            assert "default-src 'self'" in response.headers["content-security-policy"]
            assert response.headers["x-request-id"]
            if status != 200:
                assert response.json()["request_id"] == response.headers["x-request-id"]


def test_only_the_documentation_may_have_inline_scripts(shared):
    policies = {
        path: shared.get(path).headers["content-security-policy"] for path in ("/docs", "/health")
    }
    assert "script-src 'self' 'unsafe-inline'" in policies["/docs"]
    assert "unsafe-inline" not in policies["/health"]


def test_the_log_has_a_line_of_json_for_each_request_without_its_query(shared, lines):
    shared.predict()
    shared.get("/health?key=secret")
    forecast, health = lines()
    assert forecast.keys() == {
        "time", "level", "message", "request_id", "client", "method", "path", "status", "ms",
        "model_version", "forecasts",
    }  # fmt: skip
    wanted = {"method": "POST", "path": "/predict_npy", "status": 200, "model_version": "v1"}
    assert forecast.items() >= {**wanted, "forecasts": 1}.items()
    assert forecast["ms"] > 0
    assert datetime.fromisoformat(forecast["time"]).utcoffset().total_seconds() == 0
    assert health["path"] == "/health"
    assert "model_version" not in health
    assert "secret" not in str(health)


@pytest.mark.parametrize("form", [JsonLines(), Text()])
def test_a_path_cannot_forge_a_line(shared, caplog, lines, form):
    shared.get("/a%0Aforged%1b[2J%e2%80%a8")
    (line,) = [form.format(one) for one in caplog.records if one.name == "flare.access"]
    assert line.isprintable()
    assert "forged" in line


def test_the_log_can_be_turned_off(lines):
    with client_with(access_log=False) as client:
        client.predict()
    assert lines() == []


ORIGIN = "https://flares.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key",
}


def test_no_other_origin_may_call_by_default(shared):
    response = shared.get("/health", headers={"Origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]
    preflight = shared.run(shared.http.options("/predict_npy", headers=PREFLIGHT))
    assert preflight.status_code == 405


def test_an_origin_that_was_named_may_call_and_another_may_not():
    with client_with(cors_origins=(ORIGIN,)) as client:
        for body, status in ((NPY, 200), (b"x", 415)):
            answer = client.post("/predict_npy", content=body, headers={"Origin": ORIGIN})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        preflight = client.run(client.http.options("/predict_npy", headers=PREFLIGHT))
        other = client.get("/health", headers={"Origin": "https://evil.example"})
    assert preflight.status_code == 200
    assert "access-control-allow-origin" not in other.headers


KEY, NEW = "correct-horse-battery", "another-horse-battery"
CLOSED = [
    ("POST", "/predict_npy"),
    ("POST", "/predict_images"),
    ("POST", "/predict_batch"),
    ("POST", "/explain"),
    ("GET", "/model"),
    ("GET", "/history"),
    ("GET", "/history.csv"),
    ("GET", "/metrics"),
]
WRONG = [
    {},
    {"X-API-Key": ""},
    {"X-API-Key": KEY[:-1]},
    {"X-API-Key": KEY.upper()},
    {"X-API-Key": f"{NEW} {KEY}"},
    {"X-API-Key": "schlüssel".encode()},
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {KEY}"},
]


@pytest.fixture(scope="module")
def locked():
    """Talk to a server with two keys, so that one can replace the other."""
    with client_with(api_key=f"{NEW}\n{KEY}") as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_the_right_key_the_answer_is_401_before_the_body_is_read(locked, method, path):
    async def unreadable():
        raise AssertionError("the body was read")
        yield b""

    for headers in WRONG:
        body = {"content": unreadable()} if method == "POST" else {}
        response = locked.run(locked.http.request(method, path, headers=headers, **body))
        assert response.status_code == 401, headers
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json()["error"] == "unauthorized"
        assert "X-API-Key" in response.json()["hint"]
        assert KEY not in response.text


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_each_key_is_accepted_as_a_header_and_as_a_bearer_token(locked, method, path):
    for key in (KEY, NEW):
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            response = locked.run(locked.http.request(method, path, headers=headers))
            assert response.status_code in ((200,) if method == "GET" else (400, 415))


@pytest.mark.parametrize("path", ["/health", "/ready", "/sample.npy", "/openapi.json"])
def test_health_and_the_documentation_are_open(locked, path):
    assert locked.get(path).status_code == 200


def test_the_documentation_says_where_the_key_goes(shared):
    schemes = shared.get("/openapi.json").json()["components"]["securitySchemes"]
    assert {(one["type"], one.get("name"), one.get("scheme")) for one in schemes.values()} == {
        ("apiKey", "X-API-Key", None),
        ("http", None, "bearer"),
    }


@pytest.mark.parametrize("empty", ["", " \n"])
def test_a_server_with_an_empty_key_needs_none_and_shows_no_folder(monkeypatch, empty):
    monkeypatch.setenv("FLARE_API_KEY", empty)
    assert read_settings().api_key is None
    with client_with(api_key=read_settings().api_key) as client:
        assert client.predict().status_code == client.get("/model").status_code == 200
        health = client.get("/health", headers={"X-API-Key": ""}).json()
    assert health["checkpoint_path"] is None


@pytest.mark.parametrize("key", ["short", "schlüssel-schlüssel", f"{KEY} short"])
def test_a_short_key_or_one_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("FLARE_API_KEY", key)
    with pytest.raises(ConfigInvalid, match="FLARE_API_KEY") as raised:
        read_settings()
    assert key not in str(raised.value)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_paths_and_addresses_are_shown_only_with_the_key(path, key):
    source = FakeSource()
    source.current = TrackingUnavailable(
        "the registry http://db.internal:5000 and /srv/flare do not answer"
    )
    with Client(source, api_key=key) as client:
        for headers in ({}, {"X-API-Key": "wrong"}):
            text = client.get(path, headers=headers).text
            assert "the registry (hidden) and (hidden) do not answer" in text
        known = client.get(path, headers={"Authorization": f"Bearer {KEY}"}).text
    assert ("http://db.internal:5000 and /srv/flare" in known) == (key is not None)


def test_the_folder_of_the_model_is_shown_only_with_the_key(locked):
    assert locked.get("/health").json()["checkpoint_path"] is None
    known = locked.get("/health", headers={"X-API-Key": KEY}).json()
    assert known["checkpoint_path"] == "/models/v1"


def test_the_404_of_a_missing_example_names_no_folder(shared, monkeypatch, tmp_path):
    monkeypatch.setattr("serving.routes.information.EXAMPLES", tmp_path)
    answer = shared.get("/sample.npy")
    assert (answer.status_code, answer.json()["error"]) == (404, "no_example")
    assert str(tmp_path) not in answer.text


HOSTS = ("flare.example", "*.internal", "[::1]")


@pytest.fixture(scope="module")
def named():
    """Talk to a server that answers for its own names only."""
    with client_with(hosts=HOSTS) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    ["flare.example", "FLARE.example:8000", "b.a.internal:80", "flare.example.:80", "[::1]:8000"],
)
def test_its_own_hosts_are_answered(named, host):
    assert named.get("/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "flare.example.evil", "internal", "xinternal", "127.0.0.1", "", "::1"]
)
def test_another_host_is_400_and_says_which_setting_but_a_probe_may_use_any(named, host):
    headers = {"Host": host}
    for answer in (
        named.get("/", headers=headers),
        named.post("/predict_npy", content=NPY, headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "unknown_host")
        assert "FLARE_HOSTS" in answer.json()["hint"]
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    for path in ("/health", "/ready"):
        assert named.get(path, headers=headers).status_code == 200


def test_hosts_are_separated_by_commas_and_none_means_any(monkeypatch, shared):
    assert shared.get("/model", headers={"Host": "any.example"}).status_code == 200
    monkeypatch.setenv("FLARE_HOSTS", "flare.example, *.internal ,[::1],")
    assert read_settings().hosts == HOSTS


@pytest.mark.parametrize("host", ["https://a.example", "a.example:80", "a.*", "a/b", "a b"])
def test_an_invalid_host_is_refused(monkeypatch, host):
    monkeypatch.setenv("FLARE_HOSTS", f"flare.example,{host}")
    with pytest.raises(ConfigInvalid, match=r"FLARE_HOSTS.*is not a host"):
        read_settings()
