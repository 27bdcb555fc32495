"""`explain SESSION PANE`: what a watcher of this pane sees, what it concludes, and what it would type.

Rule 1: nothing is judged here. The injector of `watch` looks and judges, with the
same settings; this file only puts into words what it was handed.
Rule 2: no broker is asked. Its URL matters only because a shell gets it in its command.
Rule 3: one look cannot tell whether a screen stands still, so `explain` looks until
it can be told, and `--follow` prints a line whenever the verdict changes.

What only the running watcher knows is not here: prompts that it has learned in
the meantime, and its cool-down.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import time
from dataclasses import dataclass

from bridge.cli.asking import add_json_flag
from bridge.cli.flags import add_flags, load
from bridge.cli.naming import name_program
from bridge.cli.panes import add_form_flag, add_server_flags, tmux_of
from bridge.cli.text import Page, one_line, visible
from bridge.cli.width import around, hanging, page_width
from bridge.errors import PaneError
from bridge.settings import ClientSettings, TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux.identity import Pane
from bridge.tmux.injector import Injector
from bridge.tmux.marks import Sent
from bridge.tmux.program import Kind, Sight
from bridge.tmux.prompt import Verdict
from bridge.tmux.state import PaneState, Terminal

LABEL = 10  # columns of a line's name
ARGV_SHOWN = 200  # characters of a command line
LOOKS = 3  # times the stillness that an agent's screen needs: then it does not stand still
CURSOR = "█"
LOST = "lost"  # in place of a rule: there was no pane to judge
EXAMPLE = Ticket("T42", 42, "lucy", "run the tests, please", origin="max")

KINDS = {
    Kind.SHELL: "a shell",
    Kind.REPL: "a REPL",
    Kind.AGENT: "an agent",
    Kind.NEVER: "a pager, an editor or a menu",
    Kind.OPAQUE: "another terminal within this one",
    Kind.INTERPRETER: "an interpreter",
    Kind.UNKNOWN: "no agent that is known here",
    Kind.PROGRAM: "a command that runs",
}
HOW = {
    "shell": "a shell gets one constant command, and Enter once it stands behind the prompt",
    "repl": "a REPL gets one constant command in its language, and Enter once it stands behind the prompt",
    "agent": "an agent gets the text, and Enter once the text stands in its input",
    "": "nothing may be typed into this program",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="the tmux session, by its exact name")
    parser.add_argument(
        "pane",
        metavar="PANE",
        help="window.pane (1.0), %%N (tmux's pane id), or an index (0) where the session has one window",
    )
    add_server_flags(parser)
    add_form_flag(parser)
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on looking, and print a line whenever the verdict changes",
    )
    add_json_flag(parser)
    add_flags(parser, TmuxSettings, "the pane")
    add_flags(
        parser,
        ClientSettings,
        "the broker (never asked here: a shell's command names it)",
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


@dataclass(frozen=True)
class Look:
    """What the injector saw and concluded."""

    pane: Pane
    state: PaneState
    verdict: Verdict
    sight: Sight
    text: str  # what it would type for EXAMPLE; "" for nothing


async def show(injector: Injector, settings: TmuxSettings, page: Page, is_json: bool) -> None:
    look = await look_until_settled(injector, settings)
    if is_json:
        page.json(to_json(look))
        return
    for line in describe(look, page, page_width()):
        page.line(line)


async def look_until_settled(injector: Injector, settings: TmuxSettings) -> Look:
    """Raises PaneLost, TmuxError."""
    began, enough = time.monotonic(), LOOKS * settings.still / 1000
    while True:
        pane, state, verdict = await injector.look()
        is_unsettled = verdict.rule == "settling"
        if (
            verdict.rule == "person" and state.unseen_person
        ):  # so is a line at which a person may be
            is_unsettled, enough = True, (settings.quiet + settings.still) / 1000
        if not is_unsettled or time.monotonic() > began + enough:
            return Look(pane, state, verdict, *injector.preview(EXAMPLE, state))
        await asyncio.sleep(settings.poll_min / 1000)


async def follow(injector: Injector, settings: TmuxSettings, page: Page, is_json: bool) -> None:
    """Print the verdict whenever it is another one. A pane that is not there at the start is an error, later it is news."""
    verdict = (await injector.look())[2]
    said: tuple[str, ...] | None = None
    while True:
        if gist(verdict) != said:
            said = gist(verdict)
            tell(page, verdict, int(time.time() * 1000), is_json)
        await asyncio.sleep(settings.poll_max / 1000)
        try:
            verdict = (await injector.look())[2]
        except PaneError as error:
            verdict = Verdict(False, str(error), "", LOST)


def gist(verdict: Verdict) -> tuple[str, ...]:
    """A verdict without what ticks in it: seconds, counters, the wheel of a spinner."""
    return (verdict.rule, verdict.form, re.sub(r"[\W\d_]+", " ", verdict.reason))


def tell(page: Page, verdict: Verdict, wall_ms: int, is_json: bool) -> None:
    if is_json:
        page.json({"at": rfc3339(wall_ms), **verdict_json(verdict)}, is_compact=True)
        return
    clock = time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000)) + f".{wall_ms % 1000:03d}"
    word, colour = (
        ("ready", "green")
        if verdict.ready
        else ("lost", "red")
        if verdict.rule == LOST
        else ("not ready", "yellow")
    )
    head = f"{clock} {word.ljust(9)} "
    reason = hanging(head, f"{one_line(verdict.reason)} ({verdict.rule})", page_width())[
        len(head) :
    ]
    page.line(f"{page.paint(clock, 'dim')} {page.paint(word.ljust(9), colour)} {reason}")


# In words


def describe(look: Look, page: Page, width: int) -> list[str]:
    """The answer first, then what it rests on, then what would be typed."""
    verdict, state = look.verdict, look.state
    answer = "READY" if verdict.ready else "NOT READY"
    lines = [
        page.paint(f"{answer}: ", "green" if verdict.ready else "yellow")
        + hanging(" " * len(answer + ": "), one_line(verdict.reason), width).lstrip()
    ]
    rows = [
        ("rule", verdict.rule),
        *identity(look.pane),
        *program(look.sight),
        ("terminal", terminal(state.terminal)),
    ]
    rows += [
        ("flags", ", ".join(flags(state)) or "none"),
        ("person", person(state)),
        ("marks", marks(state)),
    ]
    if verdict.rule == "prompt" and look.sight.kind is Kind.SHELL:
        rows.insert(
            1,
            (
                "note",
                "a watcher that has run for a while may have learned a prompt that this first look cannot know",
            ),
        )
    lines += [hanging(name.ljust(LABEL), one_line(text), width) for name, text in rows if text]
    lines += [
        cursor(state),
        "row".ljust(LABEL)
        + around(
            one_line(state.left), CURSOR, one_line(state.right).rstrip(), max(0, width - LABEL - 1)
        ),
    ]
    lines += [
        "",
        hanging(
            "",
            f"{'Would type now' if verdict.ready else 'Once ready'}: {HOW[verdict.form]}"
            if verdict.form
            else f"Would type: {HOW['']}",
            width,
        ),
    ]
    if look.text:
        lines += [
            page.paint("  (an example, to be read: it is not typed)", "dim"),
            *("    " + line for line in visible(look.text).split("\n")),
        ]
    return lines


def identity(pane: Pane) -> list[tuple[str, str]]:
    return [
        ("pane", f"{pane.label}, process {pane.pane_pid} on {pane.tty}"),
        ("server", f"pid {pane.server_pid}, socket {pane.socket}"),
    ]


def program(sight: Sight) -> list[tuple[str, str]]:
    state, profile = (
        sight.state,
        f", profile {sight.profile.name}" if sight.kind is Kind.AGENT else "",
    )
    own = {
        True: "the pane's own process",
        False: "started by the pane's own process",
        None: "whose child it is cannot be told here",
    }[state.terminal.own]
    words = shlex.join(state.terminal.argv) or f"{state.command} (tmux's name for it)"
    return [
        ("program", f"{sight.name}: {KINDS[sight.kind]}{profile}"),
        ("command", f"{words[:ARGV_SHOWN]} ({own})"),
    ]


def terminal(seen: Terminal) -> str:
    if not seen.known:
        return "its flags cannot be read here (another user's, or gone)"
    switches = " ".join(
        f"{name} {'on' if value else 'off'},"
        for name, value in (("ICANON", seen.canonical), ("ECHO", seen.echo), ("ISIG", seen.signals))
    )
    return f"{switches} as {MODES[seen.canonical, seen.echo]}{'' if seen.signals else ' that takes every key itself'}"


MODES = {  # (ICANON, ECHO), termios(3)
    (True, True): "for a command that runs, or one that reads plain lines",
    (True, False): "for a password prompt",
    (False, True): "for a program that waits for a single key",
    (False, False): "for a line editor or a full-screen program",
}


def flags(state: PaneState) -> list[str]:
    known = {
        "dead": state.dead,
        "in a mode": state.in_mode,
        "input off": state.input_off,
        "synchronized": state.synchronized,
        "alternate screen": state.alternate,
    }
    return [name for name, value in known.items() if value]


def person(state: PaneState) -> str:
    if state.unseen_person:
        return "somebody has this pane in front of them through a control client (tmux -CC), whose keys tmux does not tell"
    return (
        "nobody has this pane in front of them"
        if state.human_idle is None
        else f"somebody has this pane in front of them; last key at least {state.human_idle:.0f} s ago"
    )


def marks(state: PaneState) -> str:
    """Tickets that this pane remembers, and the one whose Enter is owed."""
    names = [entry.rpartition("=")[0] for entry in state.pasted.split()]
    return ", ".join(
        f"{name.replace('+', 'id64:')} {progress(Sent.read(state.sent, name))}" for name in names
    )


def progress(sent: Sent | None) -> str:
    if sent is None:
        return "pasted, not submitted"
    return "entered, and not taken" if sent.stands_in else "submitted"


def cursor(state: PaneState) -> str:
    hidden = "" if state.cursor_shown else ", hidden"
    return (
        "cursor".ljust(LABEL)
        + f"column {state.cursor_x}, row {state.cursor_y} of {state.width}x{state.height}{hidden}"
    )


# For programs


def verdict_json(verdict: Verdict) -> dict[str, object]:
    return {
        "ready": verdict.ready,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "form": verdict.form or None,
    }


def to_json(look: Look) -> dict[str, object]:
    pane, state, sight = look.pane, look.state, look.sight
    seen = state.terminal
    return {
        **verdict_json(look.verdict),
        "pane": {
            "id": pane.pane_id,
            "session": pane.session,
            "window": pane.window_index,
            "index": pane.pane_index,
            "pid": state.pane_pid,
            "tty": pane.tty,
        },
        "server": {"pid": pane.server_pid, "startTime": pane.start_time, "socket": pane.socket},
        "program": {
            "name": sight.name,
            "kind": sight.kind.value,
            "command": state.command,
            "argv": list(seen.argv),
            "isPanesOwn": seen.own,
        },
        "terminal": {"icanon": seen.canonical, "echo": seen.echo, "isig": seen.signals}
        if seen.known
        else None,
        "cursor": {
            "x": state.cursor_x,
            "y": state.cursor_y,
            "shown": state.cursor_shown,
            "left": state.left,
            "right": state.right,
        },
        "flags": {
            "dead": state.dead,
            "inMode": state.in_mode,
            "inputOff": state.input_off,
            "synchronized": state.synchronized,
            "alternate": state.alternate,
        },
        "personIdleSeconds": state.human_idle,
        "personUnseen": state.unseen_person,
        "marks": {"pasted": state.pasted.split(), "sent": state.sent.split()},
        "exampleText": look.text or None,
    }
