"""The table of programs that run in panes, and the appearance of their prompts.

Names decide what a program IS (program_names.py), patterns decide whether it is READY. A new
agent needs a row in both tables. The setting `ready_pattern` adds an input pattern at run time.

Input patterns must match ALL of the text left of the cursor, without box-drawing borders. They
match an empty input only: a draft must not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import Pattern

from bridge.tmux.readiness.composer import Edge, Style

MARKER = "##BRIDGE-READY##"  # the explicit sign of readiness in the push design


@dataclass(frozen=True)
class Repl:
    """A read-eval-print loop: it gets the constant command, wrapped in its own language."""

    name: str
    command: Pattern[str]
    prompt: Pattern[str]  # the whole text left of the cursor when the input is empty
    # {command} is the shell command as a JSON string. It is a valid string in these languages.
    template: str


REPLS = (
    Repl(
        "python",
        re.compile(r"(python|pypy)[\d.]*", re.I),
        re.compile(r">>> ?"),
        '__import__("os").system({command})',
    ),
    Repl(
        "node",
        re.compile(r"node(js)?"),
        re.compile(r"> ?"),
        'void require("child_process").spawnSync({command},{{shell:true,stdio:"inherit"}})',
    ),
)


@dataclass(frozen=True)
class Profile:
    """A full-screen agent: how its composer looks, and patterns for the rest of its screen."""

    name: str
    commands: frozenset[str]  # names of its process, of its script or of its package
    composers: tuple[Style, ...]  # how its composer is drawn, now and in older versions
    busy: Pattern[str]  # searched in the rows around the composer, as they are on the screen
    menu: Pattern[str]
    question: Pattern[str]
    keeps_brackets: bool = True  # bracketed paste stays on after any editor that it has run


_BUSY = re.compile(
    r"\b(esc|ctrl[+-]c|\^c)\b[^│]{0,12}\b(to (interrupt|stop)|interrupt)\b"
    # Without parentheses this is below a dialog, too.
    r"|\(((?!enter)[^)])*\b(esc|ctrl[+-]c|\^c) to cancel\b"
    # A braille spinner.
    r"|^\W{0,4}[⠁-⣿]\s"
    # These are also before finished work, but then without an ellipsis.
    r"|^\W{0,4}[◐◓◑◒✢✳✶✻✽]\s.*(…|\.\.\.)"
    r"|^\W{0,4}(thinking|working|running|generating|processing|loading)\b.{0,20}(…|\.\.\.)",
    re.I,
)
# A menu is certain: it has a pointer before a number, or it lists the keys that it takes.
_POINTED = (
    r"^\W{0,6}[❯›>▶●]\s*\d+[.)]\s"
    r"|\b(enter|return) (to )?(confirm|select|continue|submit|accept|use)\b"
)
_YES_NO = r"[\[(]y(es)?\s*/\s*n(o)?\b|\(y\)es"
POINTED = re.compile(_POINTED, re.I)
_MENU = re.compile(f"{_POINTED}|{_YES_NO}", re.I)
# A question is a dialog only in the rows that touch the input. Elsewhere it is the last output of
# an idle agent.
_QUESTION = re.compile(
    r"\b(do|would) you (want|trust|like)\b|\bare you sure\b|\ballow\b.{0,60}\?"
    r"|\bproceed\b.{0,20}\?|\bpress (enter|any key|return)\b",
    re.I,
)
# A composer's mark in place of a long paste. Seen: "[Pasted text #1 +12 lines]",
# "[Paste #1 - 45 lines]", "[Pasted Text: 46 lines]", "[Pasted Content 1153 chars]",
# "[Pasted ~4 lines]".
FOLDED = re.compile(r"\[\s*paste[d]?\b[^\]]*\]", re.I)


def _style(
    opening: str,
    edge: Edge,
    has_placeholder: bool = False,
    foot: str = "",
    has_cursor: bool = False,
) -> Style:
    return Style(re.compile(opening), edge, has_placeholder, re.compile(foot), has_cursor)


def _profile(name: str, *composers: Style, keeps_brackets: bool = True) -> Profile:
    return Profile(name, frozenset({name}), composers, _BUSY, _MENU, _QUESTION, keeps_brackets)


# Claude Code 1, Gemini CLI and Qwen Code of 2025.
_BOXED = _style(r"\s?[│|] [>❯][ \u00a0]?", Edge.BOX)
_AIDER = (
    r"((ask|architect|code|help|context|diff|udiff|whole|editor|patch)[\w-]*( multi)?|multi)?"
    r">(?: |$)"
)
PROFILES = (
    _profile("claude", _style("[>❯](?:[ \u00a0]|$)", Edge.RULES), _BOXED),
    _profile("codex", _style("›(?: |$)", Edge.INDENT, has_placeholder=True, has_cursor=True)),
    _profile("gemini", _style(" >(?: |$)", Edge.INDENT, has_placeholder=True), _BOXED),
    _profile("aider", _style(_AIDER, Edge.PROMPTS, has_cursor=True), keeps_brackets=False),
    _profile("copilot", _style("❯(?: |$)", Edge.RULES, has_cursor=True), _BOXED),
    _profile("opencode", _style(r" *┃  ", Edge.BORDER, foot=r"  \S.* · ", has_cursor=True)),
    _profile("qwen", _style(">(?: |$)", Edge.RULES, has_placeholder=True), _BOXED),
    _profile("cn", _style(r"\s?[│|] ● ?", Edge.BOX, has_placeholder=True)),
)
# A prompt is at the left edge, or in a box. The further rows of a draft are indented, whatever
# glyph they contain.
_PROMPT = r"([│┃║|]\s{0,3}|\s?)(>>>|[>❯›»➜λ▌])[ \u00a0]{0,2}"
GENERIC = _profile("", _style(_PROMPT, Edge.ANY))
LINE = (_style(_PROMPT, Edge.LINE),)

PASSWORD = re.compile(
    r"(pass(word|phrase|code)|\bPIN\b|verification code|one-time code|\botp\b)[^:]{0,60}:\s*$", re.I
)


def find_profile(names: tuple[str, ...]) -> Profile | None:
    for profile in PROFILES:
        if not profile.commands.isdisjoint(names):
            return profile
    return None


def find_repl(name: str) -> Repl | None:
    for repl in REPLS:
        if repl.command.fullmatch(name):
            return repl
    return None
