"""Refuse request bodies above a size, and have every refusal reach its client.

Only a POST has a body that anybody reads; what comes with another request would wait in memory
until that is answered, so that one of more than a little is refused too. FastAPI's
``max_body_size`` would do, but answers a claimed length that is too large in plain text.

Uvicorn drops the rest of a body that was answered before its end, unless the connection is to be
closed after the answer (HTTP/1.0, ``Connection: close``: urllib, and nginx's default). Then it
closes at once, which resets the connection, and the client may never see the answer. There the rest
of the body is read and dropped for a while before the answer ends.
"""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import KIND_OF_STATUS, UPLOAD_HINT, problem

#: What a request other than a POST may bring along.
UNREAD_BYTES = 65_536

#: How long the rest of a refused body is read, and how long a pause of its client may be.
LINGER_SECONDS, LINGER_PAUSE_SECONDS = 30.0, 2.0


class BodyLimit:
    """ASGI middleware around everything that reads a body."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        post = scope["method"] == "POST"
        most = self._max_bytes if post else UNREAD_BYTES
        detail = f"a body may have at most {most} bytes (FLARE_MAX_UPLOAD_BYTES)"
        if not post:
            detail = f"only a POST may have a body of unsaid length or above {most} bytes"
        body = _Body(headers, receive, most=most, detail=detail)
        answered = send if not _closes(scope, headers) else _Answer(body, send).send
        if body.too_long or (not post and "transfer-encoding" in headers):
            request_id = scope.get("state", {}).get("request_id")
            response = problem(
                413, KIND_OF_STATUS[413], detail, hint=UPLOAD_HINT, request_id=request_id
            )
            await response(scope, body.receive, answered)
            return
        await self._app(scope, body.receive, answered)


class _Body:
    """The body of one request, counted while it arrives."""

    def __init__(self, headers: Headers, receive: Receive, *, most: int, detail: str) -> None:
        claimed = headers.get("content-length", "")
        # Of thousands of digits Python makes no number.
        self.too_long = claimed.isdecimal() and (len(claimed) > 18 or int(claimed) > most)
        self.ended = "transfer-encoding" not in headers and claimed in ("", "0")
        self._waits = headers.get("expect", "").lower() == "100-continue"
        self._receive, self._most, self._detail, self._bytes = receive, most, detail, 0

    async def receive(self) -> Message:
        """Return the next piece; raise a 413 once they are too many."""
        message = await self._next()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise HTTPException(413, self._detail)
        return message

    async def drop(self) -> None:
        """Read what is left for a while, so that the client gets its answer and no reset."""
        if self._waits:  # for a word that it may send the body, and got a refusal instead
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.ended:
                    async with asyncio.timeout(LINGER_PAUSE_SECONDS):
                        await self._next()

    async def _next(self) -> Message:
        self._waits = False
        message = await self._receive()
        self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


class _Answer:
    """The answer to one request, after which the connection is closed."""

    def __init__(self, body: _Body, send: Send) -> None:
        self._body, self._send = body, send

    async def send(self, message: Message) -> None:
        """Send a piece; before the answer ends, drop the rest of the body."""
        ends = message["type"] == "http.response.body" and not message.get("more_body", False)
        if ends and not self._body.ended:
            await self._send({**message, "more_body": True})
            await self._body.drop()
            message = {"type": "http.response.body"}
        await self._send(message)


def _closes(scope: Scope, headers: Headers) -> bool:
    options = headers.get("connection", "").lower().split(",")
    return scope.get("http_version") == "1.0" or "close" in map(str.strip, options)
