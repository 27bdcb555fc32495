"""Shared by the commands that ask a broker: --broker-url, texts from stdin, key=value pairs."""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
from collections.abc import Awaitable, Sequence
from typing import Callable, TypeVar

from bridge.cli.flags import add_flags, load
from bridge.client.broker import BrokerClient
from bridge.errors import BadValue, UsageError
from bridge.settings import ClientSettings
from bridge.ticket import check_id, check_name

T = TypeVar("T")


def add_broker_flags(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, ClientSettings, "the broker")


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_ticket_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ticket", metavar="TICKET", nargs="?", help="the ticket's id")
    parser.add_argument(
        "--id64",
        metavar="B64URL",
        help="the id as base64url without padding, in place of TICKET "
        "(for ids with characters that are special in a shell)",
    )


def add_reason_flag(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--reason",
        default=default,
        metavar="TEXT",
        help=f"the reason in the ticket's history (default: {default})",
    )


def ticket_argument(args: argparse.Namespace) -> str:
    """The ticket's id, from TICKET or --id64 (RFC 4648 section 5)."""
    if (args.ticket is None) == (args.id64 is None):
        raise UsageError("name one ticket: TICKET or --id64 B64URL")
    if args.id64 is None:
        return checked_id(args.ticket, "TICKET")
    try:
        padded = args.id64 + "=" * (-len(args.id64) % 4)
        return checked_id(
            base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8"), "--id64"
        )
    except ValueError:  # also binascii.Error and UnicodeDecodeError
        raise UsageError(f"--id64 {args.id64!r} is not base64url of a ticket id") from None


def ask(args: argparse.Namespace, question: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """Ask the broker that the flags name, with one client."""
    client_settings = load(ClientSettings, args)

    async def conversation() -> T:
        async with BrokerClient(client_settings) as client:
            return await question(client)

    return asyncio.run(conversation())


def checked_id(value: str, name: str) -> str:
    """The id. Raises UsageError for one that the broker would refuse."""
    return _checked(check_id, value, name)


def checked_name(value: str, name: str) -> str:
    """The same for the name of an agent to send to or to register."""
    return _checked(check_name, value, name)


def _checked(check: Callable[[object, str], str], value: str, name: str) -> str:
    try:
        return check(value, name)
    except BadValue as error:
        raise UsageError(str(error)) from None


def whole(least: int) -> Callable[[str], int]:
    """A `type` for argparse: a whole number, at least `least`.

    The broker would refuse it too, but argparse's error names the flag.
    """

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"it is {text!r}, and must be a whole number, at least {least}"
            )
        return value

    return read


def read_text(words: str | None) -> str:
    """The TEXT argument; `-` is standard input. So is no TEXT, unless stdin is a terminal."""
    if words is not None and words != "-":
        return words
    if words is None and sys.stdin.isatty():
        raise UsageError(
            "no text given; give it as an argument, or - to read it from standard input"
        )
    read = sys.stdin.buffer.read()
    if not read:
        raise UsageError(
            "no text given: standard input was empty; to send an empty text, give it as ''"
        )
    text = read.decode("utf-8", "replace")
    if text.encode("utf-8") != read:
        print(
            "bridge: standard input is not valid UTF-8; each wrong byte was replaced by \ufffd",
            file=sys.stderr,
        )
    return text.removesuffix("\n")  # echo(1) adds it


def pairs(given: Sequence[str] | None) -> dict[str, str]:
    """The dict of `--metadata k=v`, which may be repeated."""
    found = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--metadata {text!r} must look like key=value")
        found[key] = value
    return found
