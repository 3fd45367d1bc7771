"""The server's log on stderr: one line of JSON, or of text for people, for everything it says."""

import json
import logging
from datetime import UTC, datetime

from serving.settings import Settings

#: The attribute of a record whose fields become the line's own.
FIELDS = "flare_fields"


class JsonLines(logging.Formatter):
    """Everything as JSON, a traceback too."""

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
    """What a person reads: time, message, and the fields behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and a traceback below it."""
        fields = getattr(record, FIELDS, {})
        told = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        message = _shown(record.getMessage())
        line = f"{_time_of(record)} {record.levelname.lower():7} {message} {told}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return line.rstrip() + trace


def show_log(settings: Settings) -> None:
    """Send what the server says to stderr; uvicorn sets up its own lines and no others.

    Its line for each request has no id and says less than ours, so it goes; who wants no line
    wants none of it either.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Text())
    logger = logging.getLogger("flare")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    requests = logging.getLogger("uvicorn.access")
    requests.handlers[:] = []
    requests.propagate = False


def _quoted(value: object) -> str:
    """Return a value that cannot be taken for several fields."""
    text = _shown(value)
    return json.dumps(text) if " " in text or "=" in text else text


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _shown(value: object) -> str:
    """Return text on one line: what a stranger sent may not look like a line of ours."""
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]
