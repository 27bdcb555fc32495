"""May this pane be typed into now? If not, why?

The checks run from the certain to the likely. The first one with an objection decides, and
`explain` prints its sentence:

    tmux      dead? in a mode? input off? synchronized?
    person    a key within the last seconds?
    kernel    a password prompt? a command running? (termios)
    program   pager, editor, opaque terminal, unknown interpreter: never
    screen    is the input empty, and is nothing else going on?
    time      has the screen stood still?            (REPLs and agents)

A screen can show anything. So the program's name decides what it IS, and only then its screen
decides whether it is READY. Only agents get text: a shell, a REPL, and every program that executes
its input, gets a constant command. A wrong "not ready" costs a delay. A wrong "ready" types into a
person's line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable

from bridge.tmux.readiness import profiles
from bridge.tmux.readiness.composer import find_composer
from bridge.tmux.readiness.profiles import MARKER
from bridge.tmux.readiness.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.readiness.program_names import WITHOUT_EDITOR
from bridge.tmux.readiness.prompts import repl_line_objection, shell_line_objection
from bridge.tmux.readiness.screen import block, unframed, vicinity
from bridge.tmux.readiness.snapshot import NEAR_ROWS, PaneState

SPINS = 20.0  # seconds: a spinner, or the clock beside it, moves more often
# Titles of the pane, as Codex, Claude Code and Gemini CLI set them. A title can be an objection.
# It is never evidence of readiness, because it may be stale.
_TITLE_WORKS = re.compile("[\u2801-\u28ff◐◓◑◒] |✦ +Working")
# Copilot CLI shows its help over its transcript, while its composer stays open below.
_OVERLAY = re.compile(r"\bany key (to )?close\b")
_TITLE_ASKS = re.compile(r"\[ [.!] \] |✋ ")


@dataclass(frozen=True)
class Verdict:
    ready: bool
    reason: str  # a sentence for a person
    form: str  # what would be typed: "shell", "repl", "agent", or "" when nothing may be
    rule: str  # name of the check that decided

    def __bool__(self) -> bool:
        return self.ready


def judge(state: PaneState, learned: Learned = Learned(), rules: Rules = Rules()) -> Verdict:
    """May the pane be typed into now, and why or why not?"""
    sight = sight_of(state, learned, rules)
    for check in CHECKS:
        objection = check(sight)
        if objection is not None:
            return Verdict(False, objection, sight.form, check.__name__.lstrip("_"))
    return Verdict(
        True, f"{sight.name} waits at an empty prompt", sight.form, f"{sight.kind.value}_prompt"
    )


# Checks: each returns the objection, or None.


def tmux_objection(sight: Sight) -> str | None:
    state = sight.state
    if state.dead:
        return "the program in the pane has ended; the pane is dead"
    if state.in_mode:
        return (
            "the pane is in a tmux mode (copy-mode or a menu), where keys do not reach the program"
        )
    if state.input_off:
        return "input to the pane is switched off (select-pane -d)"
    if state.synchronized:
        return "synchronize-panes is on: keys would go to every pane of the window"
    return None


def person_objection(sight: Sight) -> str | None:
    idle = sight.state.human_idle
    if idle is not None and idle < sight.rules.quiet:
        return f"a person typed here {idle:.1f} s ago"
    if sight.state.unseen_person and sight.learned.line_still < sight.rules.quiet:
        return (
            "a person may be typing here through a control client (tmux -CC): "
            f"the line has stood still for {sight.learned.line_still:.1f} s only"
        )
    if sight.state.terminal.unread:
        return f"{sight.name} has not read all keys that were typed, and so does not show them"
    return None


def _person(sight: Sight) -> str | None:
    return person_objection(sight)


def _password(sight: Sight) -> str | None:
    terminal = sight.state.terminal
    if terminal.known and terminal.canonical and not terminal.echo:
        return "the pane is at a password prompt (echo is off)"
    if profiles.PASSWORD.search(sight.state.left.rstrip() + " ") or profiles.PASSWORD.search(
        sight.state.cursor_row.rstrip()
    ):
        return "the pane asks for a password"
    return None


def _program(sight: Sight) -> str | None:
    if sight.kind is Kind.NEVER:
        return f"{sight.name} is open: every key would be a command to it"
    if sight.kind is Kind.OPAQUE and not sight.rules.allow_opaque:
        return (
            f"{sight.name} is in the foreground and hides what runs inside it "
            "(allow it with --allow-opaque)"
        )
    if sight.kind is Kind.INTERPRETER and sight.rules.form != "shell":
        return (
            f"{sight.name} would execute the text, and no constant command is known for it "
            "(--form shell and --shell-command give one)"
        )
    if sight.kind is Kind.UNKNOWN:
        return (
            f"{sight.name} is no agent that is known here, and may execute what it reads "
            "(if it is an agent, use --form agent)"
        )
    if not sight.rules.allow_opaque and (
        not sight.state.terminal.known or not sight.state.terminal.argv
    ):
        return (
            f"{sight.name} is in the foreground, and its terminal cannot be read here "
            "(another user's?): allow it with --allow-opaque"
        )
    if sight.rules.form == "agent" and sight.kind in (Kind.SHELL, Kind.REPL):
        return f"{sight.name} is in the foreground, not the agent, and would execute the text"
    return None


def _busy(sight: Sight) -> str | None:
    terminal = sight.state.terminal
    running = f"{sight.name} is running in the foreground"
    if sight.kind is Kind.PROGRAM:
        return running
    if not terminal.known or sight.kind is Kind.OPAQUE:
        return None
    if terminal.echo and not terminal.canonical:
        return f"{sight.name} waits for a single key"
    if terminal.canonical and not _reads_lines(sight):
        return (
            running
            if sight.kind is not Kind.SHELL
            else f"{sight.name} is busy, or reads a line for a script"
        )
    return None


def _reads_lines(sight: Sight) -> bool:
    """Is it at its prompt although the terminal is in canonical mode?

    This holds for a shell without a line editor; its prompt is then the only evidence. An agent
    that reads plain lines is accepted under two conditions. The user has declared it an agent
    (--form agent), and no shell is below it that would get the text if the agent ended now.
    """
    if sight.kind is Kind.SHELL:
        return sight.name in WITHOUT_EDITOR
    return (
        sight.kind is Kind.AGENT and sight.rules.form == "agent" and not sight.state.terminal.below
    )


def _prompt(sight: Sight) -> str | None:
    if sight.kind in (Kind.SHELL, Kind.INTERPRETER) or (
        sight.kind is Kind.OPAQUE and sight.form != "agent"
    ):
        return _shell_prompt(sight)
    if sight.kind is Kind.REPL and sight.repl:
        return (
            None
            if _is_marked(sight.state)
            else repl_line_objection(
                sight.state, sight.name, sight.repl.prompt, sight.rules.ready_pattern
            )
        )
    if input_is_empty(sight) or (sight.form == "shell" and _shell_prompt(sight) is None):
        return None
    return _draft(sight)


def _shell_prompt(sight: Sight) -> str | None:
    if _is_marked(sight.state):
        return None
    return shell_line_objection(
        sight.state, sight.name, sight.learned.prompts, sight.rules.ready_pattern
    )


def _is_marked(state: PaneState) -> bool:
    """Is the push design's marker right before the cursor, and nothing behind it?"""
    above = state.rows[: state.cursor_y]
    if state.right.strip():
        return False
    return state.left.rstrip().endswith(MARKER) or (
        not state.left.strip() and bool(above) and above[-1].rstrip().endswith(MARKER)
    )


def input_is_empty(sight: Sight) -> bool:
    """Is the agent's composer empty (composer.py)?"""
    state = sight.state
    # The user's pattern (--ready-pattern) is for agents that no table contains.
    if sight.profile is profiles.GENERIC and not state.right.strip():
        pattern = sight.rules.ready_pattern
        if _is_marked(state) or (
            pattern is not None
            and (pattern.search(state.left) or pattern.search(state.left.rstrip()))
        ):
            return True
    composer = find_composer(state, sight.composers)
    return composer is not None and composer.is_empty


def _draft(sight: Sight) -> str:
    composer = find_composer(sight.state, sight.composers)
    if composer is None or not composer.opening:
        return (
            f"no open composer of {sight.name} is in sight "
            "(if its prompt is an unusual one, see --ready-pattern)"
        )
    return (
        "the input is not empty: somebody has written a draft, "
        "or the prompt is an unusual one (see --ready-pattern)"
    )


def menu_rows(sight: Sight) -> list[str]:
    """Rows of a menu that waits for a choice.

    Where a composer is open, such rows are ordinary output. An unknown agent is the exception:
    it may keep its composer open beside a menu, so a pointer before a number counts.
    """
    is_open = find_composer(sight.state, sight.composers) is not None
    if is_open and sight.profile is not profiles.GENERIC:
        return []
    menu = profiles.POINTED if is_open else sight.profile.menu
    return [row for row in vicinity(sight.state) if menu.search(unframed(row).strip())]


def _dialog(sight: Sight) -> str | None:
    """A question that only a person may answer. A known agent shows it in place of its composer."""
    if sight.kind is not Kind.AGENT and sight.kind is not Kind.OPAQUE:
        return None
    if sight.state.session == "waiting":
        return (
            f"{sight.name} asks a question that only a person may answer "
            "(status in its own session file)"
        )
    if _TITLE_ASKS.match(sight.state.title) and not sight.state.session:
        return (
            f"{sight.name} asks a question that only a person may answer: "
            f"{_short(sight.state.title)}"
        )
    is_known = sight.profile is not profiles.GENERIC
    if is_known and any(_OVERLAY.search(row) for row in vicinity(sight.state)[-NEAR_ROWS:]):
        return f"{sight.name} shows something that any key would close"
    is_open = input_is_empty(sight) or sight.state.session == "idle"
    if is_open and is_known:
        return None
    # A known agent shows a dialog in place of its composer. An unknown one may show it above its
    # composer. There only a pointer before a number is certain (`menu_rows`).
    questions = (
        [] if is_open else [row for row in block(sight.state) if sight.profile.question.search(row)]
    )
    for row in [*menu_rows(sight), *questions]:
        return f"{sight.name} asks a question that only a person may answer: {_short(row)}"
    return None


def is_working(sight: Sight) -> bool:
    return sight.kind is Kind.AGENT and _working(sight) is not None


def _working(sight: Sight) -> str | None:
    """Evidence: its session file, a spinner in the pane's title, or the rows near its composer."""
    state = sight.state
    if sight.kind is not Kind.AGENT or state.session == "idle":
        return None
    if state.session == "busy":
        return f"{sight.name} is working (status in its own session file)"
    if _TITLE_WORKS.match(state.title):
        return f"{sight.name} is working: {_short(state.title)}"
    if sight.profile is not profiles.GENERIC and sight.learned.still >= SPINS:
        return None  # a spinner that does not turn is text of the conversation
    for row in vicinity(state):
        if sight.profile.busy.search(unframed(row).strip()):
            return f"{sight.name} is working: {_short(row)}"
    return None


def _short(row: str) -> str:
    text = " ".join(unframed(row).split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _settling(sight: Sight) -> str | None:
    if sight.kind in (Kind.SHELL, Kind.INTERPRETER) and sight.state.terminal.known:
        return None
    if sight.learned.still < sight.rules.still:
        return f"the screen moved within the last {sight.rules.still:.1f} s"
    return None


CHECKS: tuple[Callable[[Sight], str | None], ...] = (
    tmux_objection,
    _person,
    _password,
    _program,
    _busy,
    _dialog,
    _working,
    _prompt,
    _settling,
)
