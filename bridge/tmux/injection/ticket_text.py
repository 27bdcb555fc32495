"""The exact text that is typed into a pane.

A shell executes what it reads. Every quoting that is safe in one shell executes in another: fish
ends '...' at \\', zsh runs $(...) in a comment, the sender can end a heredoc. So a shell gets ONE
constant command, and only an id of [A-Za-z0-9_-] varies in it. A REPL gets the same command,
wrapped in its language.

Only an agent, which reads text as text, gets the body. A header line above it names the sender,
because an agent must not take a peer's message for its user's. Everything in that line that a
sender can choose goes through one filter (`plain_name`).
"""

from __future__ import annotations

import json
import re

from bridge.errors import UsageError
from bridge.self_command import own_words
from bridge.ticket import Ticket
from bridge.tmux.injection.pane_marks import SAFE_ID, encode_id
from bridge.tmux.injection.sanitise import one_line, sanitise
from bridge.tmux.readiness.profiles import Repl

# Bytes. A terminal in canonical mode drops the bytes of a line beyond 4095 (termios(3)).
LINE_MAX = 4000
INERT = "| "  # a line with this beginning is a syntax error in every shell
LINE_BREAK = " ⏎ "  # replaces a line break where one would act as Enter
_NAME_BYTES = 64  # of a name in the header, so that it cannot hold a message
_OPEN_END = re.compile(r"\\$|(^|\s)[@/#](?!#)\S*$")
_SPECIAL = re.compile(r"[\"\\`$;&|<>(){}!*?#~\[\]]")


def check_command(template: str) -> str:
    """Return `template` if it is one printable line with one {id}. Raises UsageError."""
    if template.count("{id}") != 1 or not template.isprintable():
        raise UsageError(
            f"--shell-command is {template!r}; "
            "it must be one line with {id} where the ticket's id goes"
        )
    return template


def id_words(ticket_id: str) -> str:
    """The id for a shell's command line: itself, or --id64 and its base64url."""
    return ticket_id if SAFE_ID.fullmatch(ticket_id) else "--id64 " + encode_id(ticket_id)


def shell_command(ticket_id: str, template: str) -> str:
    return template.replace("{id}", id_words(ticket_id))


def repl_command(ticket_id: str, template: str, repl: Repl) -> str:
    """The shell's command as a string literal. JSON strings are valid in Python and JavaScript."""
    return repl.template.format(command=json.dumps(shell_command(ticket_id, template)))


def body_of(ticket: Ticket) -> str:
    return (
        ticket.payload
        if isinstance(ticket.payload, str)
        else json.dumps(ticket.payload, indent=2, ensure_ascii=False)
    )


def spoken(template: str, words: str) -> str:
    """A bridge command in a text for an agent.

    It has the program and the broker of the shells' command, if that is a bridge command, too.
    """
    program, is_ours, flags = template.partition(" show {id}")
    return f"{program} {words}{flags}" if is_ours else f"{one_line(own_words(), LINE_MAX)} {words}"


def agent_text(ticket: Ticket, cap_bytes: int, template: str, shell_below: bool = False) -> str:
    """A header line, then the body. Of a long body only the beginning, and how to read the rest.

    If a shell reads next when the agent ends, it may get text that the agent has not read yet. So
    each line then begins with `| `, and no shell accepts that as the beginning of a command. bash,
    zsh and dash refuse the line, and fish keeps it.
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
    """For an agent that takes a line break as Enter: the whole text in one line.

    If that is too long: the header, and how to read the body.
    """
    body = sanitise(body_of(ticket), LINE_MAX)
    prefix = INERT if shell_below else ""
    line = prefix + f"{header(ticket, template)} {body.text}".rstrip().replace("\n", LINE_BREAK)
    if body.was_cut or len(line.encode()) > LINE_MAX:
        show = spoken(template, f"show {id_words(ticket.ticket_id)}")
        line = f"{prefix}{header(ticket, template)} To read it: {show}"
    return closed(line)


def closed(text: str) -> str:
    """The text, with a blank behind it if Enter would not submit it.

    Several agents take a backslash before Enter as "continue in a new line". An @, a / or a # in
    the last word opens a list, and Enter chooses from that list.
    """
    return text + " " if _OPEN_END.search(text) else text


def header(ticket: Ticket, template: str) -> str:
    """One line: the sender, that it is a peer's message, the ticket's id, and how to reply."""
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
    """A sender's text in the header: one short line without special characters of any shell."""
    return _SPECIAL.sub("'", one_line(text, _NAME_BYTES)) or "unknown"
