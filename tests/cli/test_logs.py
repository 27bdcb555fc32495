"""One line for each event, with any text in it, as text and as JSON."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bridge.cli.logs import JsonLines, TextLines

HOSTILE = "a\nb\x1b[31m\r\u2028 100%s %d"


def record(message, *args, error=None):
    try:
        if error is not None:
            raise error
    except Exception:
        return logging.LogRecord(
            "bridge.broker", logging.ERROR, __file__, 1, message, args, sys.exc_info()
        )
    return logging.LogRecord("bridge.broker", logging.INFO, __file__, 1, message, args, None)


@pytest.mark.parametrize("error", [None, ValueError(HOSTILE)])
def test_text_is_one_line_without_control_characters(error):
    line = TextLines().format(record("it failed ticket=%s", HOSTILE, error=error))
    assert line.isprintable() and line[2] == ":" and ("info" if error is None else "error") in line
    assert (error is not None) == ("Traceback" in line)


@pytest.mark.parametrize("error", [None, ValueError(HOSTILE)])
def test_json_is_one_object_a_line(error):
    line = JsonLines().format(record("it failed ticket=%s", HOSTILE, error=error))
    said = json.loads(line)
    assert (
        line.isprintable()
        and said["message"] == f"it failed ticket={HOSTILE}"
        and said["fields"] == {"ticket": HOSTILE}
    )
    assert set(said) == {"at", "level", "logger", "message", "fields"} | (
        {"traceback"} if error else set()
    )


def test_pairs_become_fields_and_numbers_stay_numbers():
    said = record(
        "100%% done, for %s: status=%d after=%.1fs server=%r reason=%s",
        "nobody",
        429,
        1.25,
        ["x"],
        ValueError("full"),
    )
    assert json.loads(JsonLines().format(said))["fields"] == {
        "status": 429,
        "after": 1.25,
        "server": "['x']",
        "reason": "full",
    }
    assert "fields" not in json.loads(JsonLines().format(record("plain")))
    assert "fields" not in json.loads(
        JsonLines().format(record("given as a mapping x=%(x)s", {"x": 1}))
    )
