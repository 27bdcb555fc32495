"""Log lines on standard error: one line an event, as text or as a JSON object.

Every logger of this process ends here, asyncio's too. An event is a phrase and
`key=value` pairs. In JSON the pairs are fields, and numbers stay numbers. The broker's
ready line is not an event: scripts wait for it, and it is the same in both formats.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import time
from typing import Any

from bridge.cli.log_queue import PatientHandler
from bridge.cli.safe_text import one_line
from bridge.timestamp import rfc3339

LEVELS = ("debug", "info", "warning", "error")


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logging")
    group.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="the lowest level that is logged on standard error (default info)",
    )
    group.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="text for people, or a JSON object a line for programs (default text)",
    )


def configure_logs(args: argparse.Namespace, is_patient: bool = False) -> None:
    """Set up logging. With `is_patient`, a blocked stderr cannot stall the event loop."""
    handler = (
        PatientHandler(sys.stderr.fileno()) if is_patient else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(JsonLines() if args.log_format == "json" else TextLines())
    logging.getLogger().handlers = [handler]
    logging.getLogger("bridge").setLevel(args.log_level.upper())


class TextLines(logging.Formatter):
    """`12:34:56.789 info text`; a peer's text in it cannot break the line or the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        level, message = record.levelname.lower(), one_line(record.getMessage())
        line = f"{moment}.{int(record.msecs):03d} {level} {message}"
        # A traceback stays in the line: a log collector would make an event of each line.
        return (
            f"{line} | {one_line(' | '.join(self.formatException(record.exc_info).splitlines()))}"
            if record.exc_info
            else line
        )


class JsonLines(logging.Formatter):
    """One object a line: at, level, logger, message; fields and traceback only where they exist."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = fields_of(record)
        if fields:
            line["fields"] = fields
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


# One `%` specifier of a log call, and the name before its "=".
_SPECIFIER = re.compile(r"(?:(\w+)=)?%(?:%|[-#0 +]*[0-9]*(?:\.[0-9]+)?[a-zA-Z])")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The pairs of a log call.

    `log.info("refused status=%d reason=%s", 429, "rate")` -> {"status": 429, "reason": "rate"}
    """
    if not isinstance(record.msg, str) or not isinstance(record.args, tuple):
        return {}
    names = [match[1] for match in _SPECIFIER.finditer(record.msg) if not match[0].endswith("%%")]
    return {
        name: value if isinstance(value, (int, float, str)) else str(value)
        for name, value in zip(names, record.args)
        if name
    }
