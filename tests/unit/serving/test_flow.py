"""A sample's bytes do not wait for one another in uvicorn."""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl

from serving.flow import TAKEN_IN_BYTES, take_in_whole_samples


@pytest.fixture
def waits(monkeypatch) -> list[None]:
    """Note how often uvicorn makes a client wait."""
    found: list[None] = []
    pause = FlowControl.pause_reading
    monkeypatch.setattr(
        FlowControl, "pause_reading", lambda self: (found.append(None), pause(self))
    )
    return found


def post(body: bytes) -> None:
    """Post a body to an application behind uvicorn that reads it."""
    size = 0

    async def application(scope, receive, send):
        nonlocal size
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def run() -> None:
        config = uvicorn.Config(
            application, port=0, http="httptools", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        assert b"204" in await reader.readline()
        writer.close()
        server.should_exit = True
        await serving

    asyncio.run(run())
    assert size == len(body)


def test_uvicorn_takes_in_as_much_as_a_sample_before_it_makes_a_client_wait(monkeypatch, waits):
    body = bytes(3 * 2**20)
    monkeypatch.setattr(httptools_impl, "HIGH_WATER_LIMIT", 65536)
    post(body)
    assert waits
    waits.clear()
    take_in_whole_samples()
    assert httptools_impl.HIGH_WATER_LIMIT == TAKEN_IN_BYTES
    post(body)
    assert not waits


def test_a_uvicorn_without_such_a_limit_is_left_alone(monkeypatch):
    monkeypatch.delattr(httptools_impl, "HIGH_WATER_LIMIT")
    take_in_whole_samples()
    assert not hasattr(httptools_impl, "HIGH_WATER_LIMIT")
