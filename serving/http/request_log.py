"""What every request and its answer get: an id, security headers, a line in the log, a count.

The log goes to stderr, each entry on one line, in JSON or as text; uvicorn's, warnings and those of
other libraries too.
"""

import json
import logging
import os
import re
import time
import uuid
from datetime import UTC, datetime

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import problem, request_id_of
from serving.metrics import Metrics
from serving.settings import Settings

log = logging.getLogger("flare.access")

LOG_HINT = "the server's log has the details under this request id"

#: The attribute of a log record whose entries become fields of the line.
FIELDS = "flare_fields"

REQUEST_ID = "x-request-id"
_VALID_ID = re.compile(r"[0-9A-Za-z_.:-]{1,64}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

#: The page loads its own files only; its images are drawn from what the user dropped on it.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
#: Swagger's page contains a script.
DOCS_POLICY = f"{PAGE_POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class RequestLog:
    """ASGI middleware around everything else; it neither reads nor buffers a body."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, logged: bool) -> None:
        self._app, self._metrics, self._logged = app, metrics, logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer a defect with a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent_id if _VALID_ID.fullmatch(sent_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        start, status, started = time.perf_counter(), 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            # Here, because an answer of FastAPI's own handler passes no middleware.
            await internal_error(scope, error)(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's own path and a known method: any other text would be a new series of metrics.
        route = getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if self._logged:
            fields = {
                "request_id": request_id_of(scope),
                "client": (scope.get("client") or ("",))[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * seconds, 2),
                **scope["state"].get("log_fields", {}),
            }
            log.info("request", extra={FIELDS: fields})


def internal_error(scope: Scope, error: Exception) -> JSONResponse:
    """Log a defect with its traceback, and return an answer without it."""
    request_id, where = request_id_of(scope), f"{scope['method']} {scope['path']}"
    logging.getLogger("flare.serving").error(
        "request %s failed: %s", request_id, where, exc_info=error
    )
    detail = "the server failed; this is not the fault of the request"
    return problem(500, "internal_error", detail, hint=LOG_HINT, request_id=request_id)


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers[REQUEST_ID] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    policy = DOCS_POLICY if path.startswith(("/docs", "/static-offline-docs")) else PAGE_POLICY
    headers.setdefault("content-security-policy", policy)
    # A browser asks each time whether a file of the page changed, so no page is half old.
    on_page = path == "/" or path.startswith("/page/")
    headers.setdefault("cache-control", "no-cache" if on_page else "no-store")


class JsonLines(logging.Formatter):
    """One line of JSON for each record, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Text(logging.Formatter):
    """Text for people: time, level, message and fields, with a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and a traceback below it."""
        fields = getattr(record, FIELDS, {})
        pairs = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        message = _printable(record.getMessage())
        line = f"{_time_of(record)} {record.levelname.lower():7} {message} {pairs}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return line.rstrip() + trace


def set_up_log(settings: Settings) -> None:
    """Send every line to stderr in one format: ours, uvicorn's, warnings and other libraries'.

    Uvicorn's own line for each request has no request id, so it is left out.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Text())
    root = logging.getLogger()
    others = [one for one in root.handlers if not isinstance(one.formatter, JsonLines | Text)]
    root.handlers[:] = [*others, handler]
    for name in ("flare", "uvicorn"):  # of other libraries only warnings and errors
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.INFO)
    requests = logging.getLogger("uvicorn.access")
    requests.handlers[:] = []
    requests.propagate = False
    # MLflow is imported later, and would set a format of its own.
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    logging.captureWarnings(True)


def _quoted(value: object) -> str:
    """Return a value in quotation marks where it could be read as several fields."""
    text = _printable(value)
    return json.dumps(text) if " " in text or "=" in text else text


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _printable(value: object) -> str:
    """Return text on one line, so that a client's text cannot look like a line of the log."""
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]
