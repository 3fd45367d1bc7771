"""Where hosts are set, a request for another one is refused; probes are not."""

import httpx
import pytest
from serving_fakes import NPY, Client, FakeForecaster, FakeSource

from flare.errors import ConfigInvalid
from serving.settings import read_settings

HOSTS = ("flare.example", "*.internal", "[::1]")


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource(v1=FakeForecaster()), hosts=HOSTS) as client:
        yield client


def asked(client: Client, path: str, host: str) -> httpx.Response:
    if path == "/predict_npy":
        return client.post(path, content=NPY, headers={"Host": host})
    return client.get(path, headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "flare.example",
        "FLARE.example:8000",
        "a.internal",
        "b.a.internal:80",
        "flare.example.:80",
        "[::1]",
        "[::1]:8000",
    ],
)
def test_its_own_hosts_are_answered(client, host):
    assert asked(client, "/model", host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "flare.example.evil", "internal", "xinternal", "127.0.0.1", "", "::1"]
)
@pytest.mark.parametrize("path", ["/", "/predict_npy"])
def test_another_host_is_400_and_says_which_setting(client, path, host):
    answer = asked(client, path, host)
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown_host")
    assert "FLARE_HOSTS" in answer.json()["hint"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_may_use_any_address(client, path):
    assert asked(client, path, "10.0.0.7:8000").status_code == 200


def test_where_no_hosts_are_set_every_host_is_answered():
    with Client(FakeSource(v1=FakeForecaster())) as client:
        assert asked(client, "/model", "any.example").status_code == 200


def test_hosts_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("FLARE_HOSTS", "flare.example, *.internal ,[::1],")
    assert read_settings().hosts == HOSTS


@pytest.mark.parametrize("host", ["https://a.example", "a.example:80", "a.*", "a/b", "a b"])
def test_an_invalid_host_is_refused(monkeypatch, host):
    monkeypatch.setenv("FLARE_HOSTS", f"flare.example,{host}")
    with pytest.raises(ConfigInvalid, match=r"FLARE_HOSTS.*is not a host"):
        read_settings()
