"""The table of tested agents: where each is installed, how its screen looks, which keys it takes.

A new agent needs one row here and one function in homes.py. The patterns are searched in the whole
screen, after the blanks at the end of each row are removed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from re import Pattern

FOLDER = "BRIDGE_AGENTS_DIR"  # the environment variable that names the folder of programs


@dataclass(frozen=True)
class Screen:
    """A menu or mode that replaces the empty composer, and the keys that open and close it."""

    name: str
    keys: tuple[str, ...]  # "L:" marks text that is typed literally
    shown: Pattern[str]
    close: tuple[str, ...] = ("Escape",)  # keys until the composer is empty again


@dataclass(frozen=True)
class Change:
    """A change that an agent itself makes to a text before it sends it to the model."""

    found: str  # a pattern
    becomes: str
    why: str


@dataclass(frozen=True)
class Program:
    name: str
    package: str  # npm's name of it (pip's for aider); "" if another row installs it
    folder: str
    program: str
    empty: Pattern[str]  # an open composer without a draft
    like_placeholder: str  # a person's draft that begins with the same words as the placeholder
    dialog: Pattern[str]
    screens: tuple[Screen, ...]
    changes: tuple[Change, ...] = ()
    wipe: tuple[str, ...] = ("C-c",)  # clears a draft
    newline: str = "C-j"
    patience: float = 25.0  # seconds from a ready pane to the message, on two busy cores
    undrawn: tuple[
        str, ...
    ] = ()  # drafts that the agent draws wrong, so that no test can read them
    refuse: tuple[str, ...] = ("Escape",)
    asks: str = "STUB-TOOL[{command}]"  # the message that makes the stub open the agent's dialog

    def path(self, folder: str) -> str:
        bin_folder = "bin" if self.folder == "aider" else "node_modules/.bin"
        return os.path.join(folder, self.folder, bin_folder, self.program)

    def missing(self) -> str:
        """Return why the agent cannot run here; "" if it can."""
        how = f"python3 tests/agents/install.py {self.folder}"
        folder = os.environ.get(FOLDER, "")
        if not folder:
            return f"{FOLDER} is not set; set it to a folder and run: {how}"
        if not os.access(self.path(folder), os.X_OK):
            return f"{self.program} is not in {folder}; run: {how}"
        return ""


def _screen(name: str, keys: str, shown: str, close: str = "Escape") -> Screen:
    return Screen(name, tuple(keys.split()), re.compile(shown), tuple(close.split()))


def _between_rules(glyph: str, placeholder: str = "") -> Pattern[str]:
    """Return the pattern of an empty composer between two rules."""
    return re.compile(rf"─{{20,}}\n{glyph}[ \u00a0]*({placeholder})?\n─{{20,}}")


END_IS_EATEN = Change(r"\\\Z", "", "it reads a backslash at the end as a continued line")
TAB_IS_FOUR = Change("\t", "    ", "its composer keeps a tab as four blanks")
_SUGGESTED = "run the tests"  # the stub's suggestion for the person's next message
_ANY = rf"Type your message.*|{_SUGGESTED}"
CLAUDE = Program(
    name="claude",
    package="@anthropic-ai/claude-code",
    folder="claude",
    program="claude",
    empty=_between_rules("❯", rf'Try "[^"]*"|{_SUGGESTED}'),
    like_placeholder="run the tests, but not now",
    dialog=re.compile(r"Do you want to proceed\?"),
    changes=(TAB_IS_FOUR,),
    screens=(
        _screen("slash", "L:/", r"❯ /add-dir", "Escape BSpace"),
        _screen("files", "L:@", r"\(agent\)", "Escape BSpace"),
        _screen("history", "C-r", r"Filter history|search prompts:"),  # on the main screen
        _screen("shell", "L:!", r"! for shell mode", "BSpace"),
    ),
)
CLAUDE_MAIN = Program(**{**vars(CLAUDE), "name": "claude-main", "package": ""})
CODEX = Program(
    name="codex",
    package="@openai/codex",
    folder="codex",
    program="codex",
    empty=re.compile(r"(?m)^› Ask Codex to do anything$(?=(\n.*)*gpt-5-codex)"),
    like_placeholder="Ask Codex to do this, please",
    dialog=re.compile(r"Would you like to run"),
    screens=(
        _screen("slash", "L:/", r"/permissions", "Escape BSpace"),
        _screen("files", "L:@", r"esc close", "Escape BSpace"),
        _screen("history", "C-r", r"reverse-i-search"),
        _screen("shell", "L:!", r"Shell mode", "BSpace"),
    ),
)
GEMINI = Program(
    name="gemini",
    package="@google/gemini-cli",
    folder="gemini",
    program="gemini",
    empty=re.compile(rf"(?m)^ >   ({_ANY}|Press 'Esc' for NORMAL mode\.)$"),
    like_placeholder="Type your message there, not here",
    dialog=re.compile(r"Allow execution of"),
    screens=(
        _screen("slash", "L:/", r"\(1/\d+\)", "Escape BSpace"),
        _screen("files", "L:@", r"\[Agent\]", "Escape BSpace"),
        _screen("history", "C-r", r"\(r:\)"),
        _screen("shell", "L:!", r"shell mode enabled"),
    ),
)
AIDER = Program(
    name="aider",
    package="aider-chat",
    folder="aider",
    program="aider",
    empty=re.compile(r"─{20,}\n([^>\s].*\n)*>$"),
    like_placeholder="> quoted by a person",
    dialog=re.compile(r"Add file to the chat\?[^\n]*: *\n*$"),
    screens=(_screen("history", "C-r", r"reverse-i-search", "C-c"),),
    newline="M-Enter",
    refuse=("L:n", "Enter"),
    asks="STUB-FILE {command}",
)
COPILOT = Program(
    name="copilot",
    package="@github/copilot",
    folder="copilot",
    program="copilot",
    empty=_between_rules("❯"),
    like_placeholder="Describe a task to me",
    dialog=re.compile(r"Do you want to run this command"),
    changes=(TAB_IS_FOUR,),
    screens=(
        _screen("slash", "L:/", r"/add-dir", "Escape BSpace"),
        _screen("files", "L:@", r"❯ @.*/", "Escape BSpace"),
        _screen("history", "C-r", r"reverse-i-search"),
        _screen("shell", "L:!", r"Execute shell command"),
    ),
)
OPENCODE = Program(
    name="opencode",
    package="opencode-ai",
    folder="opencode",
    program="opencode",
    empty=re.compile(r"┃\n *┃( *| +Ask anything.*)\n *┃\n *┃  Build ·"),
    like_placeholder='Ask anything… "or nothing"',
    patience=75.0,  # it loads its provider at the first message
    dialog=re.compile(r"Permission required"),
    screens=(
        _screen("slash", "L:/", r"/editor", "Escape BSpace"),
        _screen("files", "L:@", r"@explore", "Escape BSpace"),
        _screen("palette", "C-p", r"Switch session"),
        _screen("shell", "L:!", r"exit shell mode"),
    ),
)
QWEN = Program(
    name="qwen",
    package="@qwen-code/qwen-code",
    folder="qwen",
    program="qwen",
    empty=_between_rules(">", _ANY),
    like_placeholder="Type your message there, not here",
    dialog=re.compile(r"Waiting for user confirmation"),
    screens=(
        _screen("slash", "L:/", r"\(1/\d+\)", "Escape BSpace"),
        _screen("history", "C-r", r"\(r:\)"),
        _screen("shell", "L:!", r"shell mode enabled"),
    ),
)
CN = Program(
    name="cn",
    package="@continuedev/cli",
    folder="cn",
    program="cn",
    empty=re.compile(r"│ ● ▋Ask anything.*\n╰─+╯\n.*$"),
    like_placeholder="Ask anything, they said",
    dialog=re.compile(r"> Continue \(tab\)"),
    changes=(END_IS_EATEN,),
    wipe=("C-e", "C-u", "BSpace"),
    undrawn=("first_row_is_empty",),
    screens=(
        _screen("slash", "L:/", r"to navigate", "Escape BSpace"),
        _screen("files", "L:@", r"to navigate", "Escape BSpace"),
        _screen("shell", "L:!", r"│ \$ ", "BSpace"),
    ),
)
_ROWS = (CLAUDE, CLAUDE_MAIN, CODEX, GEMINI, AIDER, COPILOT, OPENCODE, QWEN, CN)
PROGRAMS = {program.name: program for program in _ROWS}
