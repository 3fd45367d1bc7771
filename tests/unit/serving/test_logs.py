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


def test_a_line_of_json_has_the_message_the_fields_and_the_traceback():
    try:
        raise ZeroDivisionError("a defect")
    except ZeroDivisionError:
        error = sys.exc_info()
    fields = {"status": 200, "at": {1}}
    text = JsonLines().format(record("%d went", 3, fields=fields, error=error))
    assert "\n" not in text
    line = json.loads(text)
    assert line.keys() == {"time", "level", "message", "status", "at", "traceback"}
    assert (line["level"], line["message"], line["status"]) == ("warning", "3 went", 200)
    assert line["time"].endswith("+00:00")
    assert "ZeroDivisionError: a defect" in line["traceback"]


def test_a_line_of_text_is_read_by_people():
    text = Text().format(record("%s went", "it", fields={"status": 200}))
    assert text.endswith(" warning it went status=200")
    assert Text().format(record("alone")).endswith(" warning alone")


@pytest.mark.parametrize("formatter", [JsonLines(), Text()])
@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\x1b[2J", "a\u2028b", "\x00"])
def test_neither_a_message_nor_a_field_can_forge_a_line(formatter, bad):
    assert formatter.format(record("said %s", bad, fields={"path": bad})).isprintable()


@pytest.fixture
def usual_loggers():
    """Leave the loggers of this process as they were."""
    loggers = [logging.getLogger(name) for name in (None, "flare", "uvicorn", "uvicorn.access")]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    logging.captureWarnings(False)
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def message_of(form: str, line: str) -> str:
    return json.loads(line)["message"] if form == "json" else line.rpartition(" ")[2]


@pytest.mark.parametrize("form", ["json", "text"])
def test_every_line_of_every_logger_is_of_one_form(usual_loggers, capsys, form):
    for _ in range(2):  # making two apps says nothing twice
        set_up_log(Settings(log_format=form))
    loud = ("flare.serving", "uvicorn", "uvicorn.error", "some.library", "py.warnings")
    for name in loud:
        logging.getLogger(name).warning(name)
    for name in ("uvicorn.error", "some.library"):
        logging.getLogger(name).info(name)
    lines = capsys.readouterr().err.splitlines()
    # Of libraries only warnings, of uvicorn its start too.
    assert [message_of(form, line) for line in lines] == [*loud, "uvicorn.error"]
