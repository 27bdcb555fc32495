"""The table of commands, and the one seam where errors become exit statuses.

    0 ok · 1 unexpected error · 2 usage · 3 broker not reachable · 4 not found
    5 refused by the broker · 6 store cannot be used · 7 no reply in time · 8 tmux or pane
    9 the broker's writer thread died · 130 interrupted · 141 stdout was closed

Only the module of the given command is imported: `show` is typed into panes, and must
start fast.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from bridge import __version__
from bridge.cli.output import leave_stdout, open_streams
from bridge.errors import (
    BridgeError,
    BrokerUnreachable,
    PaneError,
    PeerError,
    Refused,
    StoreBusy,
    StoreError,
    UsageError,
    WriterDied,
)

OK = 0
UNEXPECTED = 1
USAGE = 2
UNREACHABLE = 3
NOT_FOUND = 4
REFUSED = 5
STORE = 6
NO_REPLY = 7
PANE = 8
INTERRUPTED = 130
PIPE_CLOSED = 141
WRITER_DIED = 9


class Command(NamedTuple):
    module: str
    summary: str
    example: str


COMMANDS = {
    "broker": Command(
        "bridge.cli.commands.broker", "run the broker", "broker --port 5050 --db ~/bridge.db"
    ),
    "watch": Command(
        "bridge.cli.commands.watch",
        "receive an agent's tickets and type them into a tmux pane",
        "watch lucy dev-lucy 0",
    ),
    "supervise": Command(
        "bridge.cli.commands.supervise",
        "do what watch does, for many agents, on one connection to the broker",
        "supervise lucy=dev-lucy:0 bob=%7",
    ),
    "send": Command(
        "bridge.cli.commands.send",
        "send a ticket to an agent",
        'send lucy "run the tests, please" --wait',
    ),
    "reply": Command("bridge.cli.commands.reply", "answer a ticket", 'reply T42 "all green"'),
    "show": Command(
        "bridge.cli.commands.show", "print a whole ticket, safe to read in a terminal", "show T42"
    ),
    "pending": Command(
        "bridge.cli.commands.pending",
        "list the tickets that an agent has not received yet",
        "pending lucy --json",
    ),
    "tail": Command(
        "bridge.cli.commands.tail",
        "print tickets and what happens to them, one line each",
        "tail lucy",
    ),
    "why": Command(
        "bridge.cli.commands.why",
        "show a ticket's history, its state, and what it waits for",
        "why T42",
    ),
    "search": Command(
        "bridge.cli.commands.search",
        "find tickets that contain a text, newest first",
        'search "the tests" --agent lucy',
    ),
    "top": Command(
        "bridge.cli.commands.top.command",
        "show agents and tickets live, with the tickets that wait, and why",
        "top",
    ),
    "agents": Command(
        "bridge.cli.commands.agents", "list the registered agents", "agents --status online"
    ),
    "register": Command(
        "bridge.cli.commands.register",
        "register an agent, so that replies come to it as tickets",
        "register lucy --type claude --session dev-lucy --pane 0",
    ),
    "unregister": Command(
        "bridge.cli.commands.unregister",
        "remove an agent's registration; its tickets stay",
        "unregister lucy",
    ),
    "drop": Command(
        "bridge.cli.commands.drop",
        "end a pending ticket, so that it is never delivered",
        "drop T42",
    ),
    "purge": Command(
        "bridge.cli.commands.purge", "end all pending tickets of an agent", "purge lucy"
    ),
    "backup": Command(
        "bridge.cli.commands.backup", "copy the store of a running broker", "backup ~/copy.db"
    ),
    "ack": Command("bridge.cli.commands.ack", "acknowledge a ticket by hand", "ack T42"),
    "status": Command(
        "bridge.cli.commands.status", "show the state of the broker, or of one agent", "status lucy"
    ),
    "explain": Command(
        "bridge.cli.commands.explain",
        "show what a watcher sees in a pane, and why a ticket waits",
        "explain dev-lucy 0 --follow",
    ),
    "doctor": Command(
        "bridge.cli.commands.doctor",
        "check everything that bridge needs, and show how to repair what is wrong",
        "doctor",
    ),
    "bench": Command(
        "bridge.cli.commands.bench",
        "measure push against polling; `bench load`: how much load a running broker can take",
        "bench --agents 10",
    ),
    "demo": Command(
        "bridge.cli.commands.demo",
        "deliver a few tickets into a pane, and leave nothing behind",
        "demo",
    ),
    "pack": Command(
        "bridge.cli.commands.pack", "write the whole program into one file", "pack bridge.pyz"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    open_streams()
    try:
        status = outcome(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # the output of every command, and of --help
        return status
    except BrokenPipeError:
        leave_stdout()
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # For example a full disk behind stdout, or no more processes. The system's own
        # message is enough.
        leave_stdout()
        print(f"bridge: {error}", file=sys.stderr)
        return UNEXPECTED


def outcome(words: Sequence[str]) -> int:
    """The exit status of a command, with one line on stderr when it is an error."""
    try:
        return run_command(words)
    except SystemExit as leaving:  # argparse has printed help, version, or what is wrong
        return int(leaving.code or OK)
    except BridgeError as error:
        # Log lines come first: a thread may still have some to write (log_queue.py).
        logging.shutdown()
        print(f"bridge: {one_sentence(error)}", file=sys.stderr)
        return status_of(error)


def run_command(words: Sequence[str]) -> int:
    """The first word names the command; the other words are its arguments."""
    if not words or words[0] not in COMMANDS:
        parser = make_parser()
        parser.parse_args(words)  # exits for --help, --version and an unknown command
        parser.print_help()
        return USAGE
    module = importlib.import_module(COMMANDS[words[0]].module)
    parser = make_command_parser(words[0])
    module.configure(parser)
    # Intermixed: in `send lucy --wait "text"`, plain parse_args finds AGENT, no TEXT, and
    # one argument too many.
    args = parser.parse_intermixed_args(words[1:])
    return int(module.run(args))


def make_parser() -> argparse.ArgumentParser:
    """All commands by name; for --help, --version and wrong arguments."""
    parser = Parser(
        prog="bridge",
        description="Delivers messages between coding agents that live in tmux panes.",
        epilog=EPILOG,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"bridge {__version__}")
    choices = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        choices.add_parser(name, help=command.summary)
    return parser


def make_command_parser(name: str) -> argparse.ArgumentParser:
    command = COMMANDS[name]
    example = f"example:\n  python3 -m bridge {command.example}"
    summary = command.summary[0].upper() + command.summary[1:] + "."
    return Parser(
        prog=f"bridge {name}",
        description=summary,
        epilog=example,
        formatter_class=Help,
        allow_abbrev=False,
    )


EPILOG = """Start with `python3 -m bridge demo`. Each command has its own --help.

exit statuses:
  0 ok · 1 unexpected error · 2 usage · 3 broker not reachable · 4 not found
  5 refused by the broker · 6 store cannot be used · 7 no reply in time (--wait)
  8 tmux or pane · 9 the broker's writer thread died; start the broker again · 130 interrupted
  141 stdout is closed: only the output is lost; the command has done its work
"""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line. argparse would print the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {one_sentence(message)}; see --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse's own, which since 3.11 hides an OSError of stdout."""
        (file or sys.stderr).write(message)


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the line ends of an epilog; uses the terminal's width up to a readable bound."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def status_of(error: BridgeError) -> int:
    """The exit status of an error; the order matters only for classes below one another."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, Refused):
        if not error.fields:
            return UNREACHABLE  # another server answers there, not a broker
        return NOT_FOUND if error.status == 404 else REFUSED
    if isinstance(error, (BrokerUnreachable, PeerError)):
        return UNREACHABLE
    if isinstance(error, (StoreError, StoreBusy)):
        return STORE
    if isinstance(error, WriterDied):
        return WRITER_DIED
    return PANE if isinstance(error, PaneError) else UNEXPECTED


def one_sentence(error: object) -> str:
    """The text as one printable line: parts of it come from brokers and terminals."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text)
