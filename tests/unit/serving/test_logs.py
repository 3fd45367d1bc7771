"""The log on stderr: one line for each entry, for machines or for people."""

import json
import logging
import sys

import pytest

from serving.http.request_log import FIELDS, JsonLines, Text, set_up_log
from serving.settings import Settings


def record(message: str, *args: object, fields: dict[str, object] | None = None, error=None):
    one = logging.LogRecord("flare.x", logging.WARNING, "file", 1, message, args, error)
    if fields is not None:
        setattr(one, FIELDS, fields)
    return one


def failure():
    try:
        raise ZeroDivisionError("a defect")
    except ZeroDivisionError:
        return sys.exc_info()


def test_a_line_of_json_has_the_message_and_the_fields():
    line = json.loads(JsonLines().format(record("%d went", 3, fields={"status": 200, "at": {1}})))
    assert line.keys() == {"time", "level", "message", "status", "at"}
    assert (line["level"], line["message"], line["status"]) == ("warning", "3 went", 200)
    assert line["time"].endswith("+00:00")


def test_a_traceback_is_within_the_line_of_json():
    text = JsonLines().format(record("failed", error=failure()))
    assert "\n" not in text
    assert "ZeroDivisionError: a defect" in json.loads(text)["traceback"]


def test_a_line_of_text_is_read_by_people():
    text = Text().format(record("%s went", "it", fields={"status": 200}))
    assert text.endswith(" warning it went status=200")
    assert Text().format(record("alone")).endswith(" warning alone")


@pytest.mark.parametrize("formatter", [JsonLines(), Text()])
@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\x1b[2J", "a\u2028b", "\x00"])
def test_neither_a_message_nor_a_field_can_forge_a_line(formatter, bad):
    assert formatter.format(record("said %s", bad, fields={"path": bad})).isprintable()


@pytest.fixture(autouse=True)
def usual_loggers():
    """Leave the loggers of this process as they were."""
    loggers = [logging.getLogger(name) for name in (None, "flare", "uvicorn", "uvicorn.access")]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    logging.captureWarnings(False)
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def said_by(form: str, capsys, *names: str) -> list[str]:
    """Return the lines on stderr after each of some loggers said something."""
    for _ in range(2):  # making two apps says nothing twice
        set_up_log(Settings(log_format=form))
    for name in names:
        logging.getLogger(name).warning("by %s", name)
    return capsys.readouterr().err.splitlines()


LOGGERS = ("flare.serving", "uvicorn", "uvicorn.error", "some.library", "py.warnings")


def test_in_json_every_line_is_json_of_every_logger(capsys):
    lines = said_by("json", capsys, *LOGGERS)
    assert [json.loads(line)["message"] for line in lines] == [f"by {one}" for one in LOGGERS]


def test_as_text_every_line_is_text_of_every_logger(capsys):
    lines = said_by("text", capsys, *LOGGERS)
    assert [line.rpartition("warning ")[2] for line in lines] == [f"by {one}" for one in LOGGERS]


def test_uvicorns_start_is_logged_and_of_libraries_only_warnings(capsys):
    set_up_log(Settings(log_format="json"))
    for name in ("uvicorn.error", "some.library"):
        logging.getLogger(name).info("by %s", name)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "by uvicorn.error"
