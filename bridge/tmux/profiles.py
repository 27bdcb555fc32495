"""The table of programs that live in panes, and what their prompts look like.

Names decide what a program IS (names.py), patterns decide whether it is READY. A new
agent needs a row in both tables; `ready_pattern` (a setting) adds one more input pattern at run time.

Input patterns must match ALL of the text left of the cursor, with box-drawing
borders removed. They match an empty input only: a draft must not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Pattern

MARKER = "##BRIDGE-READY##"  # the push design's explicit "I am ready"


@dataclass(frozen=True)
class Repl:
    """A read-eval-print loop: it gets the constant command, wrapped in its own language."""

    name: str
    command: Pattern[str]
    prompt: Pattern[str]  # the whole text left of the cursor when the input is empty
    template: str  # {command} is the shell command as a JSON string, which these languages read as their own


REPLS = (
    Repl("python", re.compile(r"(python|pypy)[\d.]*", re.I), re.compile(r">>> ?"), '__import__("os").system({command})'),
    Repl("node", re.compile(r"node(js)?"), re.compile(r"> ?"), 'void require("child_process").spawnSync({command},{{shell:true,stdio:"inherit"}})'),
)


@dataclass(frozen=True)
class Profile:
    """A full-screen agent."""

    name: str
    commands: frozenset[str]  # names of its process or of its script
    input: Pattern[str]
    busy: Pattern[str]
    menu: Pattern[str]
    question: Pattern[str]
    folded: Pattern[str]  # what its composer shows in place of a long paste
    placeholder: Optional[Pattern[str]] = None  # text of an empty input, where the cursor is hidden


_BUSY = re.compile(
    r"\b(esc|ctrl[+-]c|\^c)\b[^│]{0,12}\bto (interrupt|cancel|stop)"
    r"|^\W{0,4}[⠁-⣿]\s"  # a braille spinner
    r"|^\W{0,4}[◐◓◑◒✢✳✶✻✽]\s.*(…|\.\.\.)"  # these also stand before finished work, then without an ellipsis
    r"|^\W{0,4}(thinking|working|running|generating|processing|loading)\b.{0,20}(…|\.\.\.)",
    re.I,
)
# A menu cannot be mistaken: its pointer stands before a number or it says which keys it takes.
_POINTED = r"^\W{0,6}[❯›>▶●]\s*\d+[.)]\s|\b(enter|return) to (confirm|select|continue|submit|accept)\b"
_YES_NO = r"[\[(]y(es)?\s*/\s*n(o)?\b|\(y\)es"
_MENU = re.compile(f"{_POINTED}|{_YES_NO}", re.I)
# A question is a dialog only in the rows that touch the input; elsewhere it is what an idle agent last said.
_ASKED = r"\b(do|would) you (want|trust|like)\b|\bare you sure\b|\ballow\b.{0,60}\?|\bproceed\b.{0,20}\?|\bpress (enter|any key|return)\b"
_QUESTION = re.compile(_ASKED, re.I)
# An agent that asks in its transcript leaves the answered question standing there: open is only what touches the input.
_POINTED_MENU, _INLINE_QUESTION = re.compile(_POINTED, re.I), re.compile(f"{_ASKED}|{_YES_NO}", re.I)
_FOLDED = re.compile(r"\[\s*pasted\b[^\]]*\]", re.I)

PROFILES = (
    Profile("claude", frozenset({"claude"}), re.compile(r"\s*[>❯]\s?"), _BUSY, _MENU, _QUESTION, _FOLDED, re.compile(r'Try ".*')),
    Profile("codex", frozenset({"codex"}), re.compile(r"\s*[›>▌]\s?"), _BUSY, _MENU, _QUESTION, _FOLDED, re.compile(r"Ask Codex .*")),
    Profile("gemini", frozenset({"gemini"}), re.compile(r"\s*[>❯]\s{0,2}"), _BUSY, _MENU, _QUESTION, _FOLDED, re.compile(r"Type your message.*")),
    Profile("aider", frozenset({"aider"}), re.compile(r"((ask|architect|code|help|multi|diff|whole)( multi)?)?> ?"), _BUSY, _POINTED_MENU, _INLINE_QUESTION, _FOLDED),
)
GENERIC = Profile("generic", frozenset(), re.compile(r"\s*([>❯›»➜λ▌]|>>>)\s{0,2}"), _BUSY, _MENU, _QUESTION, _FOLDED)

# A shell's prompt ends with the FIRST prompt character in it: in `root@vm:~# cat foo > ` that is '#', and it
# is not the last, so somebody has typed.
SHELL_PROMPT = re.compile(r"[^$#%>❯›»➜λ]*(>>>|[$#%>❯›»➜λ]) ?")
# Prompts that the rule above cannot see, because a prompt character opens them: oh-my-zsh's robbyrussell.
SHELL_THEMES = (re.compile(r"➜ {1,2}\S+ (git:\(\S+\) )?(✗ )?"),)
_ZSH_WORDS = (
    "quote|dquote|bquote|heredocd?|for|foreach|repeat|select|while|until|if|then|else|elif|math|cond|mathsubst|cmdsubst|cmdand|cmdor|pipe|errpipe|function|subsh|"
    "cursh|array|case|braceparam|always"
)
CONTINUATION = re.compile(rf"(> ?|\? ?|\.\.\. ?|(({_ZSH_WORDS}) ?)+> ?)")  # PS2 of sh, bash and dash; of csh; of REPLs; of zsh
PASSWORD = re.compile(r"(pass(word|phrase|code)|\bPIN\b|verification code|one-time code|\botp\b)[^:]{0,60}:\s*$", re.I)
BORDER = re.compile("[\u2500-\u258b\u258d-\u259f|]")  # box drawing and block elements: the frame of a composer (not \u258c, Codex's prompt)


def find_profile(names: tuple[str, ...]) -> Optional[Profile]:
    for profile in PROFILES:
        if not profile.commands.isdisjoint(names):
            return profile
    return None


def find_repl(name: str) -> Optional[Repl]:
    for repl in REPLS:
        if repl.command.fullmatch(name):
            return repl
    return None
