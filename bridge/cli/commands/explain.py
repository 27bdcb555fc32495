"""`explain SESSION PANE`: show what a watcher of this pane sees, concludes, and would type.

Rule 1: nothing is judged here. The injector of `watch` looks and judges, with the same
settings; this command prints the result (pane_report.py).
Rule 2: no broker is asked. Its URL is only part of the command that is typed into a shell.
Rule 3: one look cannot find whether a screen stands still. So `explain` looks until that is
known. With `--follow` it prints a line whenever the verdict changes.

Two facts are only in the running watcher: the prompts that it has learned, and its
cool-down.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time

from bridge.cli.broker_options import add_json_flag
from bridge.cli.fit_text import hanging, page_width
from bridge.cli.flags import add_flags, load
from bridge.cli.pane_report import PaneReport, describe, to_json, verdict_json
from bridge.cli.safe_text import Page, one_line
from bridge.cli.self_command_words import name_program
from bridge.cli.tmux_options import add_form_flag, add_server_flags, tmux_of
from bridge.errors import PaneError
from bridge.settings import ClientSettings, TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux.injection.injector import Injector
from bridge.tmux.readiness.verdict import Verdict

# How long to look, as a multiple of `still`. A screen that moves for so long does not stand still.
LOOKS = 3
LOST = "lost"  # in place of a rule: there was no pane to judge
EXAMPLE = Ticket("T42", 42, "lucy", "run the tests, please", origin="max")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="the tmux session, by its exact name")
    parser.add_argument(
        "pane",
        metavar="PANE",
        help="window.pane (1.0), tmux's pane id (%%7), or the pane's index (0) if the session has "
        "one window",
    )
    add_server_flags(parser)
    add_form_flag(parser)
    parser.add_argument(
        "--follow",
        action="store_true",
        help="keep looking, and print a line whenever the verdict changes",
    )
    add_json_flag(parser)
    add_flags(parser, TmuxSettings, "the pane")
    add_flags(
        parser,
        ClientSettings,
        "the broker (it is not asked: its URL is part of the command for a shell)",
        only=frozenset({"broker_url"}),
    )


def run(args: argparse.Namespace) -> int:
    settings = load(TmuxSettings, args)
    injector = Injector(
        tmux_of(args, settings),
        args.session,
        args.pane,
        name_program(settings, load(ClientSettings, args).broker_url),
        args.form,
    )
    asyncio.run(
        follow(injector, settings, Page(), args.json)
        if args.follow
        else show(injector, settings, Page(), args.json)
    )
    return 0


async def show(injector: Injector, settings: TmuxSettings, page: Page, is_json: bool) -> None:
    look = await look_until_settled(injector, settings)
    if is_json:
        page.json(to_json(look))
        return
    for line in describe(look, page, page_width()):
        page.line(line)


async def look_until_settled(injector: Injector, settings: TmuxSettings) -> PaneReport:
    """Raises PaneLost, TmuxError."""
    began, enough = time.monotonic(), LOOKS * settings.still / 1000
    while True:
        pane, state, verdict = await injector.look()
        is_unsettled = verdict.rule == "settling"
        # A client whose keys tmux does not report is judged by whether its line changes.
        if verdict.rule == "person" and state.unseen_person:
            is_unsettled, enough = True, (settings.quiet + settings.still) / 1000
        if not is_unsettled or time.monotonic() > began + enough:
            return PaneReport(pane, state, verdict, *injector.preview(EXAMPLE, state))
        await asyncio.sleep(settings.poll_min / 1000)


async def follow(injector: Injector, settings: TmuxSettings, page: Page, is_json: bool) -> None:
    """Print the verdict whenever it changes.

    A pane that does not exist is an error at the start, and a line of the output later.
    """
    verdict = (await injector.look())[2]
    printed: tuple[str, ...] | None = None
    while True:
        if gist(verdict) != printed:
            printed = gist(verdict)
            print_verdict(page, verdict, int(time.time() * 1000), is_json)
        await asyncio.sleep(settings.poll_max / 1000)
        try:
            verdict = (await injector.look())[2]
        except PaneError as error:
            verdict = Verdict(False, str(error), "", LOST)


def gist(verdict: Verdict) -> tuple[str, ...]:
    """A verdict without the parts that change all the time: seconds, counters, a spinner."""
    return (verdict.rule, verdict.form, re.sub(r"[\W\d_]+", " ", verdict.reason))


def print_verdict(page: Page, verdict: Verdict, wall_ms: int, is_json: bool) -> None:
    if is_json:
        page.json({"at": rfc3339(wall_ms), **verdict_json(verdict)}, is_compact=True)
        return
    clock = time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000)) + f".{wall_ms % 1000:03d}"
    label, colour = (
        ("ready", "green")
        if verdict.ready
        else ("lost", "red")
        if verdict.rule == LOST
        else ("not ready", "yellow")
    )
    head = f"{clock} {label.ljust(9)} "
    reason = hanging(head, f"{one_line(verdict.reason)} ({verdict.rule})", page_width())[
        len(head) :
    ]
    page.line(f"{page.paint(clock, 'dim')} {page.paint(label.ljust(9), colour)} {reason}")
