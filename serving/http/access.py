"""What every request passes: an id, security headers, a line in the log, a count.

Plain ASGI, so that a body is neither read nor buffered here.
"""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.logs import FIELDS
from serving.http.problems import unexpected
from serving.metrics import Metrics

log = logging.getLogger("flare.access")

REQUEST_ID = "x-request-id"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_GIVEN_ID = re.compile(r"[0-9A-Za-z_.:-]{1,64}")

#: The page's own files and nothing else; its images are drawn from what the user dropped on it.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
#: Swagger's page has a script inside it.
DOCS_POLICY = f"{PAGE_POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class Access:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, logged: bool) -> None:
        self._app, self._metrics, self._logged = app, metrics, logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status, started = time.perf_counter(), 500, False

        async def answered(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                _dress(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, receive, answered)
        except Exception as error:
            if started:
                raise
            # Here and not in a handler of the framework's, whose answers pass no middleware.
            where = f"{scope['method']} {scope['path']}"
            await unexpected(where, error, request_id=request_id)(scope, receive, answered)
        finally:
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        # The route's own path and a known method: those of a stranger's making would be a new
        # series each time.
        route = getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if self._logged:
            fields = {
                "request_id": request_id,
                "client": (scope.get("client") or ("",))[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * seconds, 2),
                **scope["state"].get("said", {}),
            }
            log.info("request", extra={FIELDS: fields})


def _dress(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers[REQUEST_ID] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    policy = DOCS_POLICY if path.startswith(("/docs", "/static-offline-docs")) else PAGE_POLICY
    headers.setdefault("content-security-policy", policy)
    headers.setdefault("cache-control", "no-store")
