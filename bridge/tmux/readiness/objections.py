"""What may be against typing into a pane: one function for each objection.

Each function returns a sentence for a person, or None. verdict.py says in which order they are
asked, and for which kinds of program. So a function here does not ask for the kind again.
"""

from __future__ import annotations

import re

from bridge.tmux.readiness import profiles
from bridge.tmux.readiness.composer import find_composer
from bridge.tmux.readiness.profiles import MARKER
from bridge.tmux.readiness.program import Kind, Sight
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

# tmux and the person


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


def asks_password(sight: Sight) -> str | None:
    terminal = sight.state.terminal
    if terminal.known and terminal.canonical and not terminal.echo:
        return "the pane is at a password prompt (echo is off)"
    if profiles.PASSWORD.search(sight.state.left.rstrip() + " ") or profiles.PASSWORD.search(
        sight.state.cursor_row.rstrip()
    ):
        return "the pane asks for a password"
    return None


# What the program is


def takes_keys_as_commands(sight: Sight) -> str | None:
    return f"{sight.name} is open: every key would be a command to it"


def hides_its_inside(sight: Sight) -> str | None:
    if sight.rules.allow_opaque:
        return None
    return (
        f"{sight.name} is in the foreground and hides what runs inside it "
        "(allow it with --allow-opaque)"
    )


def has_no_command(sight: Sight) -> str | None:
    if sight.rules.form == "shell":
        return None
    return (
        f"{sight.name} would execute the text, and no constant command is known for it "
        "(--form shell and --shell-command give one)"
    )


def is_in_no_table(sight: Sight) -> str | None:
    return (
        f"{sight.name} is no agent that is known here, and may execute what it reads "
        "(if it is an agent, use --form agent)"
    )


def has_unreadable_terminal(sight: Sight) -> str | None:
    terminal = sight.state.terminal
    if sight.rules.allow_opaque or (terminal.known and terminal.argv):
        return None
    return (
        f"{sight.name} is in the foreground, and its terminal cannot be read here "
        "(another user's?): allow it with --allow-opaque"
    )


def is_not_the_agent(sight: Sight) -> str | None:
    if sight.rules.form != "agent":
        return None
    return f"{sight.name} is in the foreground, not the agent, and would execute the text"


# What the kernel knows of it (termios)


def runs(sight: Sight) -> str | None:
    return f"{sight.name} is running in the foreground"


def waits_for_one_key(sight: Sight) -> str | None:
    terminal = sight.state.terminal
    if terminal.known and terminal.echo and not terminal.canonical:
        return f"{sight.name} waits for a single key"
    return None


def reads_whole_lines(sight: Sight) -> str | None:
    return runs(sight) if _is_canonical(sight) else None


def shell_reads_whole_lines(sight: Sight) -> str | None:
    """A shell without a line editor does so at its prompt, which is then the only evidence."""
    if not _is_canonical(sight) or sight.name in WITHOUT_EDITOR:
        return None
    return f"{sight.name} is busy, or reads a line for a script"


def agent_reads_whole_lines(sight: Sight) -> str | None:
    """An agent that reads plain lines is accepted under two conditions.

    The user has declared it an agent (--form agent), and no shell is below it that would get the
    text if the agent ended now.
    """
    is_declared = sight.rules.form == "agent" and not sight.state.terminal.below
    return None if is_declared else reads_whole_lines(sight)


def _is_canonical(sight: Sight) -> bool:
    return sight.state.terminal.known and sight.state.terminal.canonical


# What the screen shows: is the input empty?


def shell_line_is_taken(sight: Sight) -> str | None:
    if _is_marked(sight.state):
        return None
    return shell_line_objection(
        sight.state, sight.name, sight.learned.prompts, sight.rules.ready_pattern
    )


def repl_line_is_taken(sight: Sight) -> str | None:
    assert sight.repl is not None, "a REPL is found by its row in profiles.REPLS"
    if _is_marked(sight.state):
        return None
    return repl_line_objection(
        sight.state, sight.name, sight.repl.prompt, sight.rules.ready_pattern
    )


def composer_is_taken(sight: Sight) -> str | None:
    """With --form shell the user has said that the agent may also show a shell's prompt."""
    if input_is_empty(sight) or (sight.form == "shell" and shell_line_is_taken(sight) is None):
        return None
    return _draft(sight)


def inner_line_is_taken(sight: Sight) -> str | None:
    """What is inside an opaque program, the user says with --form."""
    return composer_is_taken(sight) if sight.form == "agent" else shell_line_is_taken(sight)


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


# What the screen shows: is something else going on?


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


def asks_person(sight: Sight) -> str | None:
    """A question that only a person may answer. A known agent shows it in place of its composer."""
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


def works(sight: Sight) -> str | None:
    """Evidence: its session file, a spinner in the pane's title, or the rows near its composer."""
    state = sight.state
    if state.session == "idle":
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


def is_working(sight: Sight) -> bool:
    return sight.kind is Kind.AGENT and works(sight) is not None


def _short(row: str) -> str:
    text = " ".join(unframed(row).split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


# What time shows


def moves(sight: Sight) -> str | None:
    if sight.learned.still < sight.rules.still:
        return f"the screen moved within the last {sight.rules.still:.1f} s"
    return None


def line_editor_moves(sight: Sight) -> str | None:
    """The terminal's flags prove that a line editor waits. Only without them time is needed."""
    return None if sight.state.terminal.known else moves(sight)
