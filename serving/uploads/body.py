"""Read request bodies: bounded in size, pace and total memory, and never on disk.

`BodyLimit` refuses bodies above a size, `Buffers` bounds what all uploads have in memory, and
`read_body` reads one upload at a minimum pace.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import UPLOAD_HINT, Refused, busy, problem, request_id_of
from serving.settings import Settings

#: Largest body of a request other than a POST; it is never read.
UNREAD_BYTES = 65_536

#: How long the rest of a refused body is read, and how long a pause of its client may be.
LINGER_SECONDS, LINGER_PAUSE_SECONDS = 30.0, 2.0

#: Memory of a connection that uploads, without the body: uvicorn's buffer and a task.
CONNECTION_BYTES = 65_536

#: The network that counts as one address of IPv6: what one customer of a provider has.
IPV6_PREFIX = 64


class BodyLimit:
    """ASGI middleware that refuses bodies above a size, so that every client gets the refusal.

    A body that comes with another method than POST would wait in memory until the answer, so only
    a small one is accepted. FastAPI's ``max_body_size`` answers too large a Content-Length in plain
    text.

    Uvicorn drops the rest of a body that was answered before its end. If the connection is to be
    closed after the answer (HTTP/1.0, ``Connection: close``: urllib, and nginx's default), it
    closes at once, which resets the connection, and the client may never see the answer. There the
    rest of the body is read and dropped for a while before the answer ends.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        post = scope["method"] == "POST"
        most = self._max_bytes if post else UNREAD_BYTES
        detail = f"a body may have at most {most} bytes (FLARE_MAX_UPLOAD_BYTES)"
        if not post:
            detail = f"only a POST may have a body above {most} bytes or without a Content-Length"
        body = _Body(headers, receive, send, most=most, detail=detail)
        app = self._app
        if body.too_long or (not post and "transfer-encoding" in headers):
            app = problem(
                413, "too_large", detail, hint=UPLOAD_HINT, request_id=request_id_of(scope)
            )
        await app(scope, body.receive, body.send if _closes(scope, headers) else send)


class _Body:
    """The body of one request, counted while it arrives, and the answer to it."""

    def __init__(
        self, headers: Headers, receive: Receive, send: Send, *, most: int, detail: str
    ) -> None:
        length = headers.get("content-length", "")
        # Python refuses to convert thousands of digits.
        self.too_long = length.isdecimal() and (len(length) > 18 or int(length) > most)
        self._ended = "transfer-encoding" not in headers and length in ("", "0")
        self._awaits_100 = headers.get("expect", "").lower() == "100-continue"
        self._receive, self._send = receive, send
        self._most, self._detail, self._bytes = most, detail, 0

    async def receive(self) -> Message:
        """Return the next piece; raise a 413 once they are too many bytes."""
        message = await self._next()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise HTTPException(413, self._detail)
        return message

    async def send(self, message: Message) -> None:
        """Send a piece of the answer; before the last one, drop the rest of the body."""
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and not self._ended:
            await self._send({**message, "more_body": True})
            await self._drop()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _drop(self) -> None:
        if self._awaits_100:  # it was refused before it began to send the body
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._ended:
                    async with asyncio.timeout(LINGER_PAUSE_SECONDS):
                        await self._next()

    async def _next(self) -> Message:
        self._awaits_100 = False
        message = await self._receive()
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


def _closes(scope: Scope, headers: Headers) -> bool:
    options = headers.get("connection", "").lower().split(",")
    return scope.get("http_version") == "1.0" or "close" in map(str.strip, options)


class Buffers:
    """Bytes of request bodies in memory, over all requests and by address."""

    def __init__(self, *, max_bytes: int, max_body_bytes: int) -> None:
        self.max_bytes = max(max_bytes, max_body_bytes + CONNECTION_BYTES)
        self.max_bytes_per_address = max(self.max_bytes // 2, max_body_bytes + CONNECTION_BYTES)
        self.bytes = 0
        self._by_address: Counter[str] = Counter()

    @contextmanager
    def upload(self, address: str) -> Iterator[Callable[[int], None]]:
        """Count the bytes of one upload until the block ends, by the function that it gives.

        That raises Refused, 503, where they are over a limit.
        """
        network, counted = _network_of(address), 0

        def add(count: int) -> None:
            nonlocal counted
            self._check(count, network)
            self._count(count, network)
            counted += count

        try:
            add(CONNECTION_BYTES)
            yield add
        finally:
            self._count(-counted, network)

    def _check(self, count: int, network: str) -> None:
        if self.bytes + count > self.max_bytes:
            raise busy(
                f"the server is at its limit of {self.max_bytes} bytes of uploads "
                "(FLARE_MAX_BUFFERED_BYTES)"
            )
        if self._by_address[network] + count > self.max_bytes_per_address:
            raise busy(
                f"uploads from {network} are at the limit of {self.max_bytes_per_address} bytes "
                "for one address (half of FLARE_MAX_BUFFERED_BYTES)"
            )

    def _count(self, count: int, network: str) -> None:
        self.bytes += count
        self._by_address[network] += count
        if not self._by_address[network]:
            del self._by_address[network]


def _network_of(address: str) -> str:
    """Return an IPv4 address itself, and of an IPv6 address its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


async def read_body(request: Request, count: Callable[[int], None], settings: Settings) -> bytes:
    """Read the body; memory follows the bytes that arrive, whatever Content-Length says.

    Within each grace period the body must advance at the slowest rate. ``count`` is called with
    the size of each piece.

    Raises Refused: 408 where it is too slow; 400 where the client went away.
    """
    loop = asyncio.get_running_loop()
    grace = settings.upload_grace_seconds
    step = grace * settings.min_upload_rate  # bytes that must arrive within each grace period
    end = loop.time() + settings.upload_seconds
    body, due, more = bytearray(), step, True
    try:
        async with asyncio.timeout_at(min(loop.time() + grace, end)) as limit:
            while more:
                # `Request.stream` keeps each piece until the next one comes, and a piece may be a
                # whole sample.
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    detail = "the upload broke off"
                    raise Refused(400, "cut_off", detail, hint="send it again")
                more = message.get("more_body", False)
                count(len(message.get("body", b"")))
                body += message.pop("body", b"")
                if len(body) >= due:
                    due = len(body) + step
                    limit.reschedule(min(loop.time() + grace, end))
    except TimeoutError:
        detail = f"the upload took longer than {settings.upload_seconds:g} s (FLARE_UPLOAD_SECONDS)"
        if loop.time() < end:
            detail = (
                f"fewer than {step:.0f} bytes of the upload arrived within {grace:g} s "
                "(FLARE_UPLOAD_GRACE_SECONDS, FLARE_MIN_UPLOAD_RATE)"
            )
        hint = "send it over a faster line"
        raise Refused(408, "too_slow", detail, hint=hint) from None
    return bytes(body)
