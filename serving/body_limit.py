"""Refuse request bodies above a size, by their claim or else while they come in."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import KIND_OF_STATUS, UPLOAD_HINT, problem


class BodyLimit:
    """ASGI middleware; FastAPI's ``max_body_size`` would do, but answers some in plain text."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes
        self._detail = f"a body may have at most {max_bytes} bytes (FLARE_MAX_UPLOAD_BYTES)"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        claimed = Headers(scope=scope).get("content-length", "")
        # Of thousands of digits Python makes no number.
        if claimed.isdecimal() and (len(claimed) > 18 or int(claimed) > self._max_bytes):
            request_id = scope.get("state", {}).get("request_id")
            response = problem(
                413, KIND_OF_STATUS[413], self._detail, hint=UPLOAD_HINT, request_id=request_id
            )
            await response(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._max_bytes:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)
