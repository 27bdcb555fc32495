"""One look at a pane, as text for people and as JSON for programs.

Nothing is judged here: the injector of `watch` has looked and judged (explain.py).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bridge.cli.fit_text import around, hanging
from bridge.cli.safe_text import Page, one_line, visible
from bridge.tmux.injection.pane_marks import Sent
from bridge.tmux.readiness.program import Kind, Sight
from bridge.tmux.readiness.snapshot import PaneState, Terminal
from bridge.tmux.readiness.verdict import Verdict
from bridge.tmux.server.identity import Pane

LABEL = 10  # columns of a line's name
ARGV_SHOWN = 200  # characters of a command line
CURSOR = "█"

KINDS = {
    Kind.SHELL: "a shell",
    Kind.REPL: "a REPL",
    Kind.AGENT: "an agent",
    Kind.NEVER: "a pager, an editor or a menu",
    Kind.OPAQUE: "another terminal within this one",
    Kind.INTERPRETER: "an interpreter",
    Kind.UNKNOWN: "not an agent that is known here",
    Kind.PROGRAM: "a command that runs",
}
HOW = {
    "shell": "a shell gets one constant command, and Enter once it is behind the prompt",
    "repl": "a REPL gets one constant command in its language, and Enter once it is behind the "
    "prompt",
    "agent": "an agent gets the text, and Enter once the text is in its input",
    "": "nothing may be typed into this program",
}


@dataclass(frozen=True)
class PaneReport:
    """What the injector has seen and concluded."""

    pane: Pane
    state: PaneState
    verdict: Verdict
    sight: Sight
    text: str  # what it would type for an example ticket; "" for nothing


# In words


def describe(report: PaneReport, page: Page, width: int) -> list[str]:
    """The verdict, then the facts behind it, then what would be typed."""
    verdict, state = report.verdict, report.state
    answer = "READY" if verdict.ready else "NOT READY"
    lines = [
        page.paint(f"{answer}: ", "green" if verdict.ready else "yellow")
        + hanging(" " * len(answer + ": "), one_line(verdict.reason), width).lstrip()
    ]
    rows = _rows(report)
    lines += [hanging(name.ljust(LABEL), one_line(text), width) for name, text in rows if text]
    lines += [
        cursor(state),
        "row".ljust(LABEL)
        + around(
            one_line(state.left), CURSOR, one_line(state.right).rstrip(), max(0, width - LABEL - 1)
        ),
        "",
        hanging("", _would_type(verdict), width),
    ]
    if report.text:
        lines += [
            page.paint("  (an example: it is not typed now)", "dim"),
            *("    " + line for line in visible(report.text).split("\n")),
        ]
    return lines


def _rows(report: PaneReport) -> list[tuple[str, str]]:
    """(name, text) of each fact; one without a text is not shown."""
    verdict, state = report.verdict, report.state
    may_be_learned = verdict.rule == "prompt" and report.sight.kind is Kind.SHELL
    note = "a running watcher may have learned this prompt; this first look has not"
    return [
        ("rule", verdict.rule),
        ("note", note if may_be_learned else ""),
        *identity(report.pane),
        *program(report.sight),
        ("terminal", terminal(state.terminal)),
        ("flags", ", ".join(flags(state)) or "none"),
        ("person", person(state)),
        ("marks", marks(state)),
    ]


def _would_type(verdict: Verdict) -> str:
    if not verdict.form:
        return f"Would type: {HOW['']}"
    return f"{'Would type now' if verdict.ready else 'Once ready'}: {HOW[verdict.form]}"


def identity(pane: Pane) -> list[tuple[str, str]]:
    return [
        ("pane", f"{pane.label}, process {pane.pane_pid} on {pane.tty}"),
        ("server", f"pid {pane.server_pid}, socket {pane.socket}"),
    ]


def program(sight: Sight) -> list[tuple[str, str]]:
    state = sight.state
    profile = f", profile {sight.profile.name}" if sight.kind is Kind.AGENT else ""
    own = {
        True: "the pane's own process",
        False: "started by the pane's own process",
        None: "its parent process is not known here",
    }[state.terminal.own]
    words = shlex.join(state.terminal.argv) or f"{state.command} (tmux's name for it)"
    return [
        ("program", f"{sight.name}: {KINDS[sight.kind]}{profile}"),
        ("command", f"{words[:ARGV_SHOWN]} ({own})"),
    ]


def terminal(seen: Terminal) -> str:
    if not seen.known:
        return "its flags cannot be read (it belongs to another user, or is gone)"
    switches = " ".join(
        f"{name} {'on' if value else 'off'},"
        for name, value in (("ICANON", seen.canonical), ("ECHO", seen.echo), ("ISIG", seen.signals))
    )
    takes_keys = "" if seen.signals else " that takes every key itself"
    return f"{switches} as {MODES[seen.canonical, seen.echo]}{takes_keys}"


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
        return "a control client (tmux -CC) shows this pane; tmux does not report its keys"
    return (
        "no client shows this pane"
        if state.human_idle is None
        else f"a client shows this pane; its last key was at least {state.human_idle:.0f} s ago"
    )


def marks(state: PaneState) -> str:
    """The tickets whose marks the pane has, and for each whether it was submitted."""
    names = [entry.rpartition("=")[0] for entry in state.pasted.split()]
    return ", ".join(
        f"{name.replace('+', 'id64:')} {progress(Sent.read(state.sent, name))}" for name in names
    )


def progress(sent: Sent | None) -> str:
    if sent is None:
        return "pasted, not submitted"
    return "entered, but not accepted" if sent.stands_in else "submitted"


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


def to_json(report: PaneReport) -> dict[str, object]:
    pane, state, sight = report.pane, report.state, report.sight
    return {
        **verdict_json(report.verdict),
        "pane": _pane_json(pane, state),
        "server": {"pid": pane.server_pid, "startTime": pane.start_time, "socket": pane.socket},
        "program": _program_json(sight),
        "terminal": _terminal_json(state.terminal),
        "cursor": _cursor_json(state),
        "flags": _flags_json(state),
        "personIdleSeconds": state.human_idle,
        "personUnseen": state.unseen_person,
        "marks": {"pasted": state.pasted.split(), "sent": state.sent.split()},
        "exampleText": report.text or None,
    }


def _pane_json(pane: Pane, state: PaneState) -> dict[str, object]:
    return {
        "id": pane.pane_id,
        "session": pane.session,
        "window": pane.window_index,
        "index": pane.pane_index,
        "pid": state.pane_pid,
        "tty": pane.tty,
    }


def _program_json(sight: Sight) -> dict[str, object]:
    return {
        "name": sight.name,
        "kind": sight.kind.value,
        "command": sight.state.command,
        "argv": list(sight.state.terminal.argv),
        "isPanesOwn": sight.state.terminal.own,
    }


def _terminal_json(seen: Terminal) -> dict[str, object] | None:
    """The termios flags; None if they cannot be read."""
    if not seen.known:
        return None
    return {"icanon": seen.canonical, "echo": seen.echo, "isig": seen.signals}


def _cursor_json(state: PaneState) -> dict[str, object]:
    return {
        "x": state.cursor_x,
        "y": state.cursor_y,
        "shown": state.cursor_shown,
        "left": state.left,
        "right": state.right,
    }


def _flags_json(state: PaneState) -> dict[str, object]:
    return {
        "dead": state.dead,
        "inMode": state.in_mode,
        "inputOff": state.input_off,
        "synchronized": state.synchronized,
        "alternate": state.alternate,
    }
