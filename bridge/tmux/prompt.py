"""May this pane be typed into now? If not, why?

Checks run from the certain to the likely; the first that has an objection ends it, and its
sentence is what a person reads in `explain`:

    tmux      dead? in a mode? input off? synchronized?
    person    a key within the last seconds?
    kernel    a password prompt? a command running? (termios)
    program   pager, editor, opaque terminal, unknown interpreter: never
    screen    is the input empty, and is nothing else going on?
    time      has the screen stood still?            (REPLs and agents)

Screens can lie, so what a program IS comes from its name, and only then does its screen say whether it
is ready. Text is for agents only: a shell, a REPL, and all that executes what it reads, gets a constant command.
Wrong towards "not ready" costs a delay; wrong the other way types into somebody's line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from bridge.tmux import profiles
from bridge.tmux.profiles import MARKER, Profile
from bridge.tmux.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.screen import block, empty_or_last_input, is_framed, unframed, vicinity
from bridge.tmux.state import PaneState, text_width


@dataclass(frozen=True)
class Verdict:
    ready: bool
    reason: str  # a sentence for people
    form: str  # what would be typed: "shell", "repl", "agent", or "" when nothing may be
    rule: str  # name of the check that decided

    def __bool__(self) -> bool:
        return self.ready


def judge(state: PaneState, learned: Learned = Learned(), rules: Rules = Rules()) -> Verdict:
    """Say whether the pane may be typed into now, and why or why not."""
    sight = sight_of(state, learned, rules)
    for check in CHECKS:
        objection = check(sight)
        if objection is not None:
            return Verdict(False, objection, sight.form, check.__name__.lstrip("_"))
    return Verdict(True, f"{sight.name} waits at an empty prompt", sight.form, f"{sight.kind.value}_prompt")


# Checks: each returns the objection, or None.


def tmux_objection(sight: Sight) -> Optional[str]:
    state = sight.state
    if state.dead:
        return "the program in the pane has ended; the pane is dead"
    if state.in_mode:
        return "the pane is in a tmux mode (copy-mode or a menu), where keys do not reach the program"
    if state.input_off:
        return "input to the pane is switched off (select-pane -d)"
    if state.synchronized:
        return "synchronize-panes is on: keys would go to every pane of the window"
    return None


def person_objection(sight: Sight) -> Optional[str]:
    idle = sight.state.human_idle
    if idle is not None and idle < sight.rules.quiet:
        return f"a person typed here {idle:.1f} s ago"
    if sight.state.unseen_person and sight.learned.line_still < sight.rules.quiet:
        return f"a person may be typing here through a control client (tmux -CC): the line has stood still for {sight.learned.line_still:.1f} s only"
    return None


def _person(sight: Sight) -> Optional[str]:
    return person_objection(sight)


def _password(sight: Sight) -> Optional[str]:
    terminal = sight.state.terminal
    if terminal.known and terminal.canonical and not terminal.echo:
        return "the pane is at a password prompt (echo is off)"
    if profiles.PASSWORD.search(sight.state.left.rstrip() + " ") or profiles.PASSWORD.search(sight.state.cursor_row.rstrip()):
        return "the pane asks for a password"
    return None


def _program(sight: Sight) -> Optional[str]:
    if sight.kind is Kind.NEVER:
        return f"{sight.name} is open: every key would be a command to it"
    if sight.kind is Kind.OPAQUE and not sight.rules.allow_opaque:
        return f"{sight.name} is in the foreground and hides what runs inside it (allow it with --allow-opaque)"
    if sight.kind is Kind.INTERPRETER and sight.rules.form != "shell":
        return f"{sight.name} would execute the text, and no constant command is known for it (--form shell and --shell-command give one)"
    if sight.rules.form == "agent" and sight.kind in (Kind.SHELL, Kind.REPL):
        return f"{sight.name} is in the foreground, not the agent, and would execute the text"
    return None


def _busy(sight: Sight) -> Optional[str]:
    terminal = sight.state.terminal
    running = f"{sight.name} is running in the foreground"
    if sight.kind is Kind.PROGRAM:
        return running
    if not terminal.known or sight.kind is Kind.OPAQUE:
        return None
    if terminal.echo and not terminal.canonical:
        return f"{sight.name} waits for a single key"
    if terminal.canonical and not _reads_lines(sight):
        return running if sight.kind is not Kind.SHELL else f"{sight.name} is busy, or reads a line for a script"
    return None


def _reads_lines(sight: Sight) -> bool:
    """Canonical mode, and yet at its prompt?

    A shell without a line editor is; then its prompt is all the evidence that there is. An agent that reads
    plain lines is accepted only where the person said that it is an agent AND no shell is below it that
    could get the text if it ended now.
    """
    if sight.kind is Kind.SHELL:
        return sight.name in profiles.WITHOUT_EDITOR
    return sight.kind is Kind.AGENT and sight.rules.form == "agent" and sight.state.terminal.own is True


def _prompt(sight: Sight) -> Optional[str]:
    if sight.kind in (Kind.SHELL, Kind.INTERPRETER) or (sight.kind is Kind.OPAQUE and sight.form != "agent"):
        return _shell_prompt(sight)
    if sight.kind is Kind.REPL:
        return _repl_prompt(sight)
    if _may_execute(sight):
        return f"{sight.name} reads lines here, and may execute them (if it is an agent, say so: --form agent)"
    if input_is_empty(sight) or (sight.form == "shell" and _shell_prompt(sight) is None):
        return None
    return _draft(sight)


def _may_execute(sight: Sight) -> bool:
    """Node's line editor is in raw mode, as an agent's composer is: on the main screen only a frame around its input tells them
    apart. And whoever prompts with `>>>` is a REPL until somebody says otherwise."""
    if sight.kind is not Kind.AGENT or sight.profile is not profiles.GENERIC or sight.rules.form != "auto" or sight.state.alternate:
        return False
    if _marked(sight) or is_framed(sight.state):
        return False
    repl = profiles.find_repl(sight.name)
    return (repl is not None and repl.name == "node") or unframed(sight.state.left).strip() == ">>>"


def _marked(sight: Sight) -> bool:
    """The user's own pattern, or the push design's marker, right before the cursor."""
    left, above = sight.state.left, sight.state.rows[: sight.state.cursor_y]
    pattern = sight.rules.ready_pattern
    if pattern is not None and (pattern.search(left) or pattern.search(left.rstrip())):
        return True
    if left.rstrip().endswith(MARKER):
        return True
    return not left.strip() and bool(above) and above[-1].rstrip().endswith(MARKER)


def _shell_prompt(sight: Sight) -> Optional[str]:
    state, left = sight.state, sight.state.left
    if state.right.strip() and not _is_right_prompt(state):
        return "there is text right of the cursor: somebody is editing the line"
    if left in sight.learned.prompts or _marked(sight):
        return None
    if sight.name != "fish" and profiles.CONTINUATION.fullmatch(left):  # fish indents instead
        return "the shell waits for the rest of a command (continuation prompt)"
    if profiles.SHELL_PROMPT.fullmatch(left) or any(theme.fullmatch(left) for theme in profiles.SHELL_THEMES):
        return None
    if not left.strip():
        return "there is no prompt in the cursor's row"
    return "the line is not empty: somebody has typed, or the prompt is an unusual one (see --ready-pattern)"


def _is_right_prompt(state: PaneState) -> bool:
    """zsh's RPROMPT and fish's right prompt: set off by blanks and ending at the right edge."""
    return state.right.startswith("  ") and text_width(state.cursor_row.rstrip()) >= state.width - 2


def _repl_prompt(sight: Sight) -> Optional[str]:
    state, repl = sight.state, sight.repl
    if state.right.strip():
        return "there is text right of the cursor: somebody is editing the line"
    if _marked(sight) or (repl and repl.prompt.fullmatch(state.left)):
        return None
    if profiles.CONTINUATION.fullmatch(state.left) or state.left.startswith(("...", "|")):
        return f"{sight.name} waits for the rest of a statement (continuation prompt)"
    return f"{sight.name} is not at an empty prompt"


def _draft(sight: Sight) -> str:
    if not sight.state.cursor_shown and not empty_or_last_input(sight.state.rows):
        return "the cursor is hidden and no input row is in sight"
    if sight.state.cursor_shown and not unframed(sight.state.left).strip():
        return "no prompt is in the cursor's row"
    return "the input is not empty: somebody has written a draft, or the prompt is an unusual one (see --ready-pattern)"


def input_is_empty(sight: Sight) -> bool:
    """Is the agent's input row empty? What stands right of the cursor is a placeholder: a draft moves the cursor."""
    state, profile = sight.state, sight.profile
    if _marked(sight):
        return True
    if state.cursor_shown:
        return bool(profile.input.fullmatch(unframed(state.left)))
    return _empty_row(state.rows, profile)


def _empty_row(rows: tuple[str, ...], profile: Profile) -> bool:
    """The cursor is hidden, and so says nothing: the LAST row that looks like an input must be provably empty."""
    region = empty_or_last_input(rows)
    if not region:
        return False
    rest = unframed(region[0]).strip()[1:].strip()
    return not rest or bool(profile.placeholder and profile.placeholder.fullmatch(rest))


def menu_rows(sight: Sight) -> list[str]:
    """Rows of a menu that waits for a choice."""
    return [row for row in vicinity(sight.state) if sight.profile.menu.search(unframed(row).strip())]


def _dialog(sight: Sight) -> Optional[str]:
    if sight.kind is not Kind.AGENT and sight.kind is not Kind.OPAQUE:
        return None
    questions = [row for row in block(sight.state) if sight.profile.question.search(row)]
    for row in [*menu_rows(sight), *questions]:
        return f"{sight.name} asks a question that only a person may answer: {_short(row)}"
    return None


def _working(sight: Sight) -> Optional[str]:
    if sight.kind is not Kind.AGENT:
        return None
    for row in vicinity(sight.state):
        if sight.profile.busy.search(unframed(row).strip()):
            return f"{sight.name} is working: {_short(row)}"
    return None


def _short(row: str) -> str:
    text = " ".join(unframed(row).split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _settling(sight: Sight) -> Optional[str]:
    if sight.kind in (Kind.SHELL, Kind.INTERPRETER) and sight.state.terminal.known:
        return None
    if sight.learned.still < sight.rules.still:
        return f"the screen moved within the last {sight.rules.still:.1f} s"
    return None


CHECKS: tuple[Callable[[Sight], Optional[str]], ...] = (tmux_objection, _person, _password, _program, _busy, _dialog, _working, _prompt, _settling)
