"""Is the line of a shell or a REPL empty? Decided from its prompt, and from the rows around it.

Rule 1: A row continues in the next one if it is full to the right edge. So a row below a full one
        is part of a line, whatever it looks like. `capture-pane -J` does not join rows that zsh
        wrapped.
Rule 2: Nothing is right of the cursor, and nothing directly below its row: a line may have more
        rows.
Rule 3: A prompt's FIRST prompt character is its last. In `root@vm:~# cat foo > ` it is '#', so
        the line is not empty.
Rule 4: If a prompt has been learned (screen_history.py), only a similar text is a prompt. A
        program's question looks like a prompt, and so does a background job's output over a
        half-typed line.
Rule 5: If none has been learned, plain words before the prompt character are a person's words.
"""

from __future__ import annotations

import re
from re import Pattern

from bridge.tmux.readiness.cells import char_width, clusters, split_at_column, text_width
from bridge.tmux.readiness.program_names import WITHOUT_EDITOR
from bridge.tmux.readiness.snapshot import PaneState

_ENDS = "$#%>❯›»➜λ"
SHELL_PROMPT = re.compile(rf"[^{_ENDS}]*(>>>|[{_ENDS}]) ?")
# Prompts that rule 3 rejects, because they begin with a prompt character: oh-my-zsh's robbyrussell.
SHELL_THEMES = (re.compile(r"➜ {1,2}\S+ (git:\(\S+\) (✗ )?)?"),)
_ZSH_WORDS = (
    "quote|dquote|bquote|heredocd?|for|foreach|repeat|select|while|until|if|then|else|elif|math"
    "|cond|mathsubst|cmdsubst|cmdand|cmdor|pipe|errpipe|function|subsh|cursh|array|case|braceparam"
    "|always"
)
# PS2 of sh, bash and dash; of csh; PS3 of zsh and bash; of REPLs; of zsh.
CONTINUATION = re.compile(rf"(> ?|\? ?|\?# ?|#\? ?|\.\.\. ?|(({_ZSH_WORDS}) ?)+> ?)")
_ASKED = re.compile(r".*[?:\]] ?|\s*read> ?")  # a question of any program; fish's `read`
_WORD = r"[\w.,;:'\"!-]+"
# `server ready > `, `Progress: 45%`
_WORDS = re.compile(rf"\s*({_WORD}\s+)+{_WORD}\s*[%>] ?|(.*[^\w-])?\d+% ?")
_REDIRECTED = re.compile(rf"\s*{_WORD}(\s.*)?\s> ?")  # `echo x > `
# Shells that let the terminal break a row, as readline does; zsh breaks its rows itself.
_UNBROKEN = {"bash"}
# First characters of the two rows of a framed prompt. Its upper row may be full.
_FRAMES = ("╭╰", "┌└", "┏┗", "╔╚")


def looks_like_prompt(left: str) -> bool:
    """Could this be a shell's prompt, with nothing behind it?"""
    return SHELL_PROMPT.fullmatch(left) is not None or any(
        theme.fullmatch(left) for theme in SHELL_THEMES
    )


def is_learnable(left: str) -> bool:
    """Can this be a shell's prompt? Questions and continuation prompts are not learned."""
    is_prompt = re.search(r"[^\w\s'\"]\s*$|λ\s*$", left) is not None
    return is_prompt and not CONTINUATION.fullmatch(left) and not _ASKED.fullmatch(left)


def shell_line_objection(
    state: PaneState, name: str, learned: tuple[str, ...], extra: Pattern[str] | None
) -> str | None:
    """Why the line is not empty, or None. `learned`: prompts; `extra`: the user's pattern."""
    left = state.left
    if _ink_right(state) and not _is_right_prompt(state):
        return "there is text right of the cursor: somebody is editing the line"
    if _ink_row(state, state.cursor_y + 1).strip():
        return "there is text below the cursor's row: the line may have more rows"
    if _is_continued(state, name):
        return "the row above is full to the right edge, so the line goes on: somebody has typed"
    if left.startswith("<"):
        return "the line is scrolled sideways: somebody has typed"
    if left in learned or (
        extra is not None and (extra.search(left) or extra.search(left.rstrip()))
    ):
        return None
    if name != "fish" and CONTINUATION.fullmatch(left):  # fish indents instead
        return "the shell waits for the rest of a command (continuation prompt)"
    if name == "fish" and left[:1].isspace():
        return "the line is not empty: fish indents the further rows of a command"
    if name in WITHOUT_EDITOR and is_reprinted(state):
        return None
    if not left.strip():
        return "there is no prompt in the cursor's row"
    is_known = any(is_alike(left, prompt) for prompt in learned) if learned else not _is_words(left)
    if looks_like_prompt(left) and is_known:
        return None
    if looks_like_prompt(left) and learned:
        return (
            "the line does not begin with the prompt that this shell has had "
            f"({learned[-1].strip()!r})"
        )
    return (
        "the line is not empty: somebody has typed, "
        "or the prompt is an unusual one (see --ready-pattern)"
    )


def is_reprinted(state: PaneState) -> bool:
    """Did the kernel print the shell's line again, and was it empty (typed_ahead.py)?"""
    return not state.cursor_row.strip() and state.cursor_x == 0 and row_above(state).endswith("^R")


def row_above(state: PaneState) -> str:
    return state.rows[state.cursor_y - 1].rstrip() if 0 < state.cursor_y < len(state.rows) else ""


def repl_line_objection(
    state: PaneState, name: str, prompt: Pattern[str], extra: Pattern[str] | None
) -> str | None:
    """The same for a REPL, which has a known prompt."""
    left = state.left
    if _ink_right(state):
        return "there is text right of the cursor: somebody is editing the line"
    if _is_continued(state, name):
        return "the row above is full to the right edge, so the line goes on: somebody has typed"
    if prompt.fullmatch(left) or (extra is not None and extra.search(left)):
        return None
    if CONTINUATION.fullmatch(left) or left.startswith(("...", "|")):
        return f"{name} waits for the rest of a statement (continuation prompt)"
    return f"{name} is not at an empty prompt"


def _is_words(left: str) -> bool:
    return bool(_WORDS.fullmatch(left) or _REDIRECTED.fullmatch(left) or _ASKED.fullmatch(left))


def is_alike(left: str, prompt: str) -> bool:
    """Does it begin and end like the prompt?

    In between a prompt shows a folder, a branch, the time.
    """
    return _shape(left) == _shape(prompt)


def _shape(prompt: str) -> tuple[str, str]:
    without_venv = re.sub(r"^\(\S+\) ", "", prompt)
    lead = re.match(r"\[?[^\s~/(]*", without_venv)
    return (lead[0] if lead else "", prompt.rstrip()[-1:])


def _is_right_prompt(state: PaneState) -> bool:
    """zsh's RPROMPT and fish's right prompt: ONE piece of text, up to the right edge.

    Blanks separate it from the line. If there are two pieces, the first one is a line that begins
    with blanks.
    """
    is_one = re.fullmatch(r"\s\s+\S+(\s\S+)*\s*", state.right) is not None
    return is_one and text_width(state.cursor_row.rstrip()) >= state.width - 2


def _ink_right(state: PaneState) -> bool:
    """Is there any text right of the cursor, except a faint suggestion?"""
    return bool(split_at_column(_ink_row(state, state.cursor_y), state.cursor_x)[1].strip())


def _ink_row(state: PaneState, index: int) -> str:
    return state.ink[index] if index < len(state.ink) else ""


def _is_continued(state: PaneState, name: str) -> bool:
    """Is the row above full to the right edge?

    A prompt of two rows with a frame at its left is an exception: its upper row may be full.
    """
    above = state.cursor_y - 1
    if above < 0 or not _is_full(state, above, name):
        return False
    frame = state.rows[above][:1] + state.cursor_row[:1]
    return frame not in _FRAMES or (above > 0 and _is_full(state, above - 1, name))


def _is_full(state: PaneState, index: int, name: str) -> bool:
    """Is the row full? A wide cluster that did not fit leaves the last column free.

    A terminal that does not join a cluster counts more columns for it. Blanks at the edge may be
    cleared cells. Where tmux itself breaks rows, they belong to a line if tmux broke this row.
    Where the kernel holds the line, it is printed again (typed_ahead.py).
    """
    if state.rows[index].endswith(" "):
        if name in WITHOUT_EDITOR:
            return False
        if name in _UNBROKEN and state.wrapped is not None:
            return index in state.wrapped
    following = state.rows[index + 1] if index + 1 < len(state.rows) else ""
    room = max(1, next(clusters(following), ("", 1))[1])
    return sum(char_width(char) for char in state.rows[index]) > state.width - room
