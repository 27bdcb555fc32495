"""`doctor`: run checks, print one line for each, and how to repair what failed.

    ok    tmux      tmux 3.4
    fail  broker    no broker answers at http://127.0.0.1:5050 (connection refused)
          mend:     start one (python3 -m bridge broker), or ...

The exit status is 1 when a check failed, else 0; a warning is not a failure.
"""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import add_json_flag
from bridge.cli.fit_text import hanging, page_width
from bridge.cli.flags import add_flags, load
from bridge.cli.main import OK, UNEXPECTED
from bridge.cli.safe_text import Page, one_line
from bridge.cli.tmux_options import add_server_flags, tmux_of
from bridge.doctor.examination import CHECKS, examine
from bridge.doctor.finding import Check, Finding, Grade, Setup
from bridge.settings import (
    BrokerSettings,
    ClientSettings,
    DoctorSettings,
    TmuxSettings,
    WatcherSettings,
    default_db,
)

COLOUR = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "red"}
NAME = max(len(check.name) for check in CHECKS) + 2


def configure(parser: argparse.ArgumentParser) -> None:
    add_server_flags(parser)
    add_json_flag(parser)
    add_flags(parser, BrokerSettings, "the store", only=frozenset({"db"}))
    add_flags(parser, DoctorSettings, "limits of the checks")
    add_flags(parser, TmuxSettings, "the panes", only=frozenset({"shell_command", "tmux_deadline"}))
    add_flags(
        parser, WatcherSettings, "the stream", only=frozenset({"first_byte", "sse_heartbeat"})
    )
    add_flags(
        parser,
        ClientSettings,
        "the broker",
        only=frozenset({"broker_url", "connect_timeout", "request_timeout"}),
    )


def run(args: argparse.Namespace) -> int:
    page, setup = Page(), setup_of(args)
    made = []
    for check, finding in examine(setup):
        made.append((check, finding))
        if not args.json:
            show(page, check, finding, page_width())
    if args.json:
        page.json([to_json(check, finding) for check, finding in made])
    else:
        page.line(f"\n{summary([finding for _, finding in made])}")
    return UNEXPECTED if any(finding.grade is Grade.FAIL for _, finding in made) else OK


def setup_of(args: argparse.Namespace) -> Setup:
    """The settings that the other commands would have with the same flags and environment."""
    panes, db = load(TmuxSettings, args), load(BrokerSettings, args).db
    return Setup(
        doctor=load(DoctorSettings, args),
        client=load(ClientSettings, args),
        watcher=load(WatcherSettings, args),
        panes=panes,
        tmux=tmux_of(args, panes),
        db=db or default_db(),
        db_is_named=bool(db),
    )


def show(page: Page, check: Check, finding: Finding, width: int) -> None:
    grade = finding.grade.value.ljust(6)
    line = hanging(grade + check.name.ljust(NAME), one_line(finding.text), width)
    page.line(page.paint(grade, COLOUR[finding.grade]) + line[len(grade) :])
    if finding.mend:
        page.line(hanging(" " * len(grade) + "mend:".ljust(NAME), one_line(finding.mend), width))


def summary(findings: list[Finding]) -> str:
    counts = ", ".join(
        f"{sum(finding.grade is grade for finding in findings)} {grade.value}" for grade in Grade
    )
    left_out = len(CHECKS) - len(findings)
    return counts + (
        f"; {left_out} skipped, because a check before them failed" if left_out else ""
    )


def to_json(check: Check, finding: Finding) -> dict[str, object]:
    return {
        "check": check.name,
        "grade": finding.grade.value,
        "text": finding.text,
        "mend": finding.mend or None,
    }
