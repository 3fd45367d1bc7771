"""The log on stderr: a line for each thing that is said, for machines or for people."""

import json
import logging
import sys

import pytest

from serving.logs import FIELDS, JsonLines, Text, show_log
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


def test_a_line_of_json_has_the_fields_beside_the_message():
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


def test_a_traceback_is_below_the_line_of_text():
    lines = Text().format(record("failed", error=failure())).splitlines()
    assert lines[0].endswith("failed")
    assert lines[-1] == "ZeroDivisionError: a defect"


@pytest.mark.parametrize("formatter", [JsonLines(), Text()])
@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\x1b[2J", "a\u2028b", "\x00"])
def test_neither_a_message_nor_a_field_can_forge_a_line(formatter, bad):
    assert formatter.format(record("said %s", bad, fields={"path": bad})).isprintable()


@pytest.mark.parametrize(("form", "wanted"), [("json", JsonLines), ("text", Text)])
def test_the_setting_chooses_the_form_and_making_two_apps_says_nothing_twice(form, wanted):
    for _ in range(2):
        show_log(Settings(log_format=form))
    (handler,) = logging.getLogger("flare").handlers
    assert isinstance(handler.formatter, wanted)


def test_uvicorns_own_line_for_each_request_goes_where_ours_is_written():
    show_log(Settings(access_log=True))
    assert logging.getLogger("uvicorn.access").handlers == []
    assert not logging.getLogger("uvicorn.access").propagate
