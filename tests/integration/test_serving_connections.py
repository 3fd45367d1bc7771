"""Connections of all kinds of clients: each gets an answer, and none stays open for ever."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack

import httpx
import pytest
from attacks import claim, connections, half_sent
from known_models import climatology_of
from real_server import OURS, UVICORN, serving

from flare.forecasters.storage import save
from serving.routes.information import EXAMPLES, example_npy

NPY = example_npy(EXAMPLES)
KEY = "correct-horse-battery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(climatology_of(), tmp_path_factory.mktemp("model") / "climatology")


def impatient(folder, name, *command, **settings):
    """Serve with limits of time that a test can wait for."""
    usual = {"upload_grace_seconds": 1, "header_seconds": 1, "grace_seconds": 1}
    return serving(folder.with_name(name), *command, model=folder, **(usual | settings))


@pytest.fixture(scope="module")
def server(folder):
    with impatient(folder, "shared") as server:
        yield server


def answer_on(line: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    line.settimeout(60)
    return b"".join(iter(lambda: line.recv(65536), b""))


UPGRADE = (
    "POST /predict_npy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
)


@pytest.mark.parametrize("pause", [False, True], ids=["at once", "in two parts"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_of_http_2_is_ignored(server, pause, chunked):
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(NPY)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(NPY), NPY) if chunked else NPY
    with half_sent(server.address, "") as line:
        head = f"{UPGRADE}{length}\r\n\r\n".encode()
        line.sendall(head if pause else head + body)
        if pause:
            time.sleep(0.2)
            line.sendall(body)
        line.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = answer_on(line)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"model_version"' in answer
    assert b'"status":"ready"' in answer


def test_headers_that_are_never_complete_are_408_and_the_connection_is_closed(server):
    text = "POST /predict_npy HTTP/1.1\r\nHost: x\r\n"
    with half_sent(server.address, text) as line:
        answer = answer_on(line)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_slow"


def test_a_connection_that_says_nothing_is_closed(server):
    with half_sent(server.address, "") as line:
        assert answer_on(line) == b""


def test_an_upload_that_drips_is_408_and_others_are_answered_meanwhile(server):
    before = server.resident()
    with connections(server.address, [claim()] * 40, drip=0.1) as lines:
        for _ in range(3):
            assert httpx.post(f"{server.address}/predict_npy", content=NPY).status_code == 200
        for line in lines:
            line.settimeout(60)
            assert line.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert server.resident() - before < 40 * 2**20


def refused_by_urllib(address: str, path: str, size: int, **headers: str) -> tuple[int, str]:
    """Post with a client that closes the connection after the answer; return status and kind."""
    request = urllib.request.Request(f"{address}{path}", bytes(size), headers)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=60)
    return raised.value.code, json.loads(raised.value.read())["error"]


def test_a_refusal_reaches_a_client_that_still_sends(folder):
    with impatient(folder, "refusing", api_key=KEY) as server:
        for _ in range(3):
            assert refused_by_urllib(server.address, "/predict_npy", 2**26) == (401, "unauthorized")
            too_large = refused_by_urllib(
                server.address, "/predict_npy", 2**26 + 1, **{"X-API-Key": KEY}
            )
            assert too_large == (413, "too_large")
            assert refused_by_urllib(server.address, "/nothing", 2**25) == (404, "not_found")


@pytest.mark.parametrize(("command", "code"), [(UVICORN, -signal.SIGTERM), (OURS, 0)])
def test_a_slow_upload_holds_a_stopped_server_no_longer_than_the_grace_period(
    command, code, folder
):
    settings = {"upload_grace_seconds": 60, "header_seconds": 60}
    with impatient(folder, "stopping", *command, **settings) as server, ExitStack() as stack:
        text = "GET /ready HTTP/1.1\r\nHost: x\r\n"
        (half,) = stack.enter_context(connections(server.address, [text]))
        (slow,) = stack.enter_context(connections(server.address, [claim()]))
        server.until(lambda: server.metric("flare_queue_requests") == 1)
        server.process.send_signal(signal.SIGTERM)
        server.until(lambda: "Shutting down" in server.log)
        ready = server.get("/ready")
        late = httpx.post(f"{server.address}/predict_npy", content=NPY)
        assert (ready.status_code, ready.json()["error"]) == (503, "shutting_down")
        assert (late.status_code, late.json()["error"]) == (503, "shutting_down")
        assert answer_on(slow).startswith(b"HTTP/1.1 503 ")
        assert answer_on(half) == b""
        assert server.process.wait(30) == code
    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log


def test_a_second_signal_ends_the_grace_period(folder):
    settings = {"upload_grace_seconds": 600, "grace_seconds": 600, "upload_seconds": 600}
    with (
        impatient(folder, "twice", **settings) as server,
        connections(server.address, [claim()]) as (slow,),
    ):
        server.until(lambda: server.metric("flare_queue_requests") == 1)
        server.process.send_signal(signal.SIGTERM)
        server.until(lambda: "Shutting down: 1" in server.log)
        server.process.send_signal(signal.SIGTERM)
        assert answer_on(slow).startswith(b"HTTP/1.1 503 ")
        assert server.process.wait(30) == 0


def test_what_is_not_http_is_a_problem_too(server):
    with half_sent(server.address, "garbage\r\n\r\n") as line:
        answer = answer_on(line)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "bad_request"


def test_invalid_bytes_after_an_answer_close_the_connection_without_a_traceback(server):
    text = "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    with half_sent(server.address, text) as line:
        answer = b""
        while b"not_found" not in answer:
            answer += line.recv(4096)
        line.sendall(b"zz\r\n")
        assert b"HTTP/1.1" not in answer_on(line)
    assert "Traceback" not in server.log
