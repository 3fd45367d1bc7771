"""The server's log on stderr: one line of JSON, or of text for people, for everything it says."""

import json
import logging
import os
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
    """Send every line to stderr in one format: ours, uvicorn's, warnings and other libraries'.

    Uvicorn's line for each request has no id and says less than ours, so it is left out; where
    requests are not logged, neither is it.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Text())
    root = logging.getLogger()
    others = [one for one in root.handlers if not isinstance(one.formatter, JsonLines | Text)]
    root.handlers[:] = [*others, handler]
    for name in ("flare", "uvicorn"):  # of other libraries only what goes wrong
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.INFO)
    requests = logging.getLogger("uvicorn.access")
    requests.handlers[:] = []
    requests.propagate = False
    # MLflow is imported later, and would bring a format of its own.
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    logging.captureWarnings(True)


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
