"""Refuse request bodies above a size, by their claim or else while they come in.

Only a POST has a body that anybody reads; what comes with another request would wait in memory
until that is answered, so that one of more than a little is refused too.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import KIND_OF_STATUS, UPLOAD_HINT, problem

#: What a request other than a POST may bring along.
UNREAD_BYTES = 65_536


class BodyLimit:
    """ASGI middleware; FastAPI's ``max_body_size`` would do, but answers some in plain text."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        claimed = headers.get("content-length", "")
        post = scope["method"] == "POST"
        most = self._max_bytes if post else UNREAD_BYTES
        detail = f"a body may have at most {most} bytes (FLARE_MAX_UPLOAD_BYTES)"
        if not post:
            detail = f"only a POST may have a body of unsaid length or above {most} bytes"
        unsaid = not post and "transfer-encoding" in headers
        # Of thousands of digits Python makes no number.
        if unsaid or (claimed.isdecimal() and (len(claimed) > 18 or int(claimed) > most)):
            request_id = scope.get("state", {}).get("request_id")
            response = problem(
                413, KIND_OF_STATUS[413], detail, hint=UPLOAD_HINT, request_id=request_id
            )
            await response(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise HTTPException(413, detail)
            return message

        await self._app(scope, counted, send)
