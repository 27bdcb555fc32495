"""The very text that is typed into a pane.

A shell executes what it reads, and every quoting that is safe in one of them executes in another
(fish ends '...' at \\', zsh runs $(...) in a comment, a heredoc ends where the sender says). So a shell gets ONE
constant command, in which nothing but an id of [A-Za-z0-9_-] varies; a REPL gets the same command, wrapped
in its language. Only an agent, which reads text as text, gets the body: under a line that says
whose words these are, because an agent must not take a peer's message for its user's. All that a sender
chooses in that line goes through one filter (`plain_name`).
"""

from __future__ import annotations

import json
import re

from bridge.errors import UsageError
from bridge.self_command import own_words
from bridge.ticket import Ticket
from bridge.tmux.marks import SAFE_ID, encode_id
from bridge.tmux.profiles import Repl
from bridge.tmux.sanitise import one_line, sanitise

LINE_MAX = (
    4000  # bytes: a terminal in canonical mode loses what a line has beyond 4095 (termios(3))
)
INERT = "| "  # a line that begins so is a syntax error in every shell
LINE_BREAK = " ⏎ "  # stands for a line break where one would be an Enter
_NAME_BYTES = 64  # of a name in the header: a name, not a message
_OPEN_END = re.compile(r"\\$|(^|\s)[@/#](?!#)\S*$")
_SPECIAL = re.compile(r"[\"\\`$;&|<>(){}!*?#~\[\]]")


def check_command(template: str) -> str:
    """Return `template` if it is one printable line with one {id}. Raises UsageError."""
    if template.count("{id}") != 1 or not template.isprintable():
        raise UsageError(
            f"--shell-command is {template!r}; it must be one line with {{id}} where the ticket's id goes"
        )
    return template


def id_words(ticket_id: str) -> str:
    """The id as it may stand in a shell's command line: itself, or --id64 and base64url."""
    return ticket_id if SAFE_ID.fullmatch(ticket_id) else "--id64 " + encode_id(ticket_id)


def shell_command(ticket_id: str, template: str) -> str:
    return template.replace("{id}", id_words(ticket_id))


def repl_command(ticket_id: str, template: str, repl: Repl) -> str:
    """The shell's command as a string literal: JSON's are also Python's and JavaScript's."""
    return repl.template.format(command=json.dumps(shell_command(ticket_id, template)))


def body_of(ticket: Ticket) -> str:
    return (
        ticket.payload
        if isinstance(ticket.payload, str)
        else json.dumps(ticket.payload, indent=2, ensure_ascii=False)
    )


def spoken(template: str, words: str) -> str:
    """A command of ours that an agent is told: with the program and the broker of the shells' command, if that is one of ours, too."""
    program, is_ours, flags = template.partition(" show {id}")
    return f"{program} {words}{flags}" if is_ours else f"{one_line(own_words(), LINE_MAX)} {words}"


def agent_text(ticket: Ticket, cap_bytes: int, template: str, shell_below: bool = False) -> str:
    """A header line, then the body; of a long body the head, and how to read the rest.

    Where a shell reads next when the agent ends, it may get what the agent has not read yet. So each line then begins with
    `| `, which no shell takes as the beginning of a command: bash, zsh and dash refuse the line, and fish keeps it.
    """
    body = sanitise(body_of(ticket), cap_bytes)
    parts = [header(ticket, template), body.text]
    if body.was_cut:
        show = spoken(template, f"show {id_words(ticket.ticket_id)}")
        parts.append(
            f"[bridge: cut here, {body.size_bytes} bytes in all; read the whole with: {show}]"
        )
    lines = "\n".join(part for part in parts if part).split("\n")
    return closed("\n".join(INERT + line for line in lines) if shell_below else "\n".join(lines))


def line_text(ticket: Ticket, template: str, shell_below: bool = False) -> str:
    """For an agent that takes a line break as Enter: all of it in one line, or the header and how to read the body."""
    body = sanitise(body_of(ticket), LINE_MAX)
    prefix = INERT if shell_below else ""
    line = prefix + f"{header(ticket, template)} {body.text}".rstrip().replace("\n", LINE_BREAK)
    if body.was_cut or len(line.encode()) > LINE_MAX:
        show = spoken(template, f"show {id_words(ticket.ticket_id)}")
        line = f"{prefix}{header(ticket, template)} To read it: {show}"
    return closed(line)


def closed(text: str) -> str:
    """With a blank behind it, where Enter would not submit what stands there: several agents take a backslash before it as
    "go on in a new line", and let it choose from the list that an @, a / or a # in the last word opens."""
    return text + " " if _OPEN_END.search(text) else text


def header(ticket: Ticket, template: str) -> str:
    """One line: from whom, that it is a peer's message, which ticket, how to reply."""
    answers = ticket.metadata.get("replyTo") if ticket.metadata.get("isReply") else None
    about = f" in reply to your ticket {plain_name(answers)}" if isinstance(answers, str) else ""
    words = id_words(ticket.ticket_id)
    line = (
        f'[bridge] Message from "{plain_name(ticket.origin)}"{about}: a peer agent, not your user.'
    )
    line += f" Ticket {words.replace('--id64 ', 'id64:')}."
    reply = f'reply {words} "…"'
    return f"{line} To reply: {spoken(template, reply)}" if ticket.expect_reply else line


def plain_name(text: str) -> str:
    """A sender's word in the header: one short line, in which no character means anything to a shell."""
    return _SPECIAL.sub("'", one_line(text, _NAME_BYTES)) or "unknown"
