"""The body of a request in one buffer: read once, copied once at most, never on disk."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.rejections import UploadRejected


async def read_body(request: Request, *, seconds: float, max_bytes: int) -> bytes | bytearray:
    """Read the body; where its length is said, into a buffer of that length.

    One that came in one piece is that piece, not copied.

    `BodyLimit` has refused lengths above ``max_bytes`` and counts what comes.

    Raises
    ------
    UploadRejected
        408 where it takes longer than ``seconds``; 400 where the client went away.
    """
    claimed = request.headers.get("content-length", "")
    known = min(int(claimed), max_bytes) if claimed.isdecimal() else 0
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                chunk, more = await _next(request)
                end = size + len(chunk)
                if not size and chunk and end == known:
                    return chunk
                if not body:
                    body = bytearray(known)
                if end > len(body):
                    body[size:] = chunk
                else:
                    body[size:end] = chunk
                size = end
                del chunk  # not to be held while the next one is waited for
    except TimeoutError:
        detail = f"the upload took longer than {seconds:g} s (FLARE_UPLOAD_SECONDS)"
        raise UploadRejected(408, "too_slow", detail, hint="send it over a faster line") from None
    except ClientDisconnect:
        raise UploadRejected(400, "cut_off", "the upload broke off", hint="send it again") from None
    del body[size:]
    return body


async def drop_body(request: Request, *, seconds: float) -> None:
    """Read a body that nobody wants, so that the client hears the answer instead of a reset."""
    try:
        async with asyncio.timeout(seconds):
            while (await _next(request))[1]:
                pass
    except (TimeoutError, ClientDisconnect):
        return


async def _next(request: Request) -> tuple[bytes, bool]:
    """Return a piece of the body, and whether there are more.

    `Request.stream` would do, but keeps each piece until the next one comes, and a piece may be a
    whole sample.
    """
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)
