"""Where log lines go: standard error, as text or as one JSON object per line."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import time

from bridge.cli.text import one_line
from bridge.timestamp import rfc3339

_NAMED = re.compile(r"(?:(\w+)=)?%(?!%)[-#0-9.]*[a-z]")  # a conversion of a log call's template, and the name before it
LEVELS = ("debug", "info", "warning", "error")


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logging")
    group.add_argument("--log-level", choices=LEVELS, default="info", help="how much is said on standard error (default info)")
    group.add_argument("--log-format", choices=("text", "json"), default="text", help="lines for people or for programs (default text)")


def configure_logs(args: argparse.Namespace) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if args.log_format == "json" else TextLines())
    logger = logging.getLogger("bridge")
    logger.handlers = [handler]
    logger.setLevel(args.log_level.upper())
    logger.propagate = False


class TextLines(logging.Formatter):
    """`12:34:56.789 info text`; what peers put into it cannot break the line or the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{moment}.{int(record.msecs):03d} {record.levelname.lower()} {one_line(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One object per line: at, level, logger, message, and what the message names, each as a field of its own.

    log.info("delivered ticket=%s seq=%d", ...)  ->  {..., "message": "delivered ticket=T1 seq=7", "event": "delivered", "ticket": "T1", "seq": 7}
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {**named(record), "at": rfc3339(int(record.created * 1000)), "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def named(record: logging.LogRecord) -> dict[str, object]:
    """The event (the template's words before its first name) and each `name=%s` with its value."""
    template, values = str(record.msg), record.args if isinstance(record.args, tuple) else ()
    names = [match[1] for match in _NAMED.finditer(template)]
    event = re.split(r"\w+=", template, maxsplit=1)[0].strip()
    fields: dict[str, object] = {} if "%" in event else {"event": event}
    for name, value in zip(names, values):
        if name:
            fields[name] = value if isinstance(value, (bool, int, float)) or value is None else str(value)
    return fields
