"""The common values of the model APIs: what a request contains, and what the stub answers.

    stub_anthropic Messages · stub_openai Responses and Chat Completions · stub_gemini

`read` takes the user's words and the tools from a request. `stream` yields (event, data) pairs of
an event stream, one word at a time. `whole` returns the same answer in one piece.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

SHELL_TOOLS = "Bash exec_command shell_command shell run_shell_command bash run_terminal_cmd Shell"


@dataclass
class Said:
    """The content of a request: the user's words, the last message, and the offered tools."""

    texts: list[str] = field(default_factory=list)
    last: str = ""
    is_result: bool = False  # the last message is the result of a tool
    tools: dict[str, dict] = field(default_factory=dict)

    def add(self, texts: list[str], is_result: bool) -> None:
        self.texts += texts
        self.last, self.is_result = "\n".join(texts), is_result


@dataclass
class Answer:
    words: list[str]
    gap: float = 0.0  # seconds before each word
    call: tuple[str, dict] | None = None  # a tool and its arguments

    def spoken(self) -> Iterator[str]:
        for word in self.words:
            time.sleep(self.gap)
            yield word + " "

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True)
class Api:
    name: str
    ends: tuple[str, ...]  # of the path
    read: Callable[[dict], Said]
    stream: Callable[[Answer, dict], Iterator[tuple[str, object]]]
    whole: Callable[[Answer, dict], dict]


def shell_call(tools: dict[str, dict], command: str) -> tuple[str, dict] | None:
    """Return a call of the agent's own shell tool, with arguments as its schema requires."""
    name = next((each for each in SHELL_TOOLS.split() if each in tools), "")
    if not name:
        return None
    known = (tools[name] or {}).get("properties", {})
    is_list = known.get("command", {}).get("type") == "array"
    arguments: dict[str, object] = {"command": ["bash", "-lc", command] if is_list else command}
    if "cmd" in known:
        arguments = {"cmd": command}
    if "description" in known:
        arguments["description"] = "a command of the stub"
    if "is_background" in known:
        arguments["is_background"] = False
    if "sandbox_permissions" in known:
        arguments["sandbox_permissions"] = "require_escalated"
        arguments["justification"] = "Do you want the stub to run its command?"
    return name, arguments


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


def words_of(content: object, key: str = "text") -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part[key] for part in content or [] if isinstance(part.get(key), str)]
