"""`backup FILE`: copy the store of a running broker, on any machine, into a file here.

    broker ──bytes──► FILE.part ──complete, synced, checked──► link ──► FILE

Rule 1: FILE exists only when it is complete. It never replaces a file: link(2) fails then.
Rule 2: FILE.part is removed however the command ends, by a signal too, except by SIGKILL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from typing import BinaryIO
from urllib.parse import quote

from bridge.broker.journal.schema import APPLICATION_ID
from bridge.cli.broker_options import add_broker_flags, ask
from bridge.cli.main import OK
from bridge.cli.safe_text import Page, one_line
from bridge.client.broker import ABSENT, BrokerClient
from bridge.errors import Refused, StoreError, UsageError

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def configure(parser: argparse.ArgumentParser) -> None:
    text = "the new file, on this machine; it is named FILE.part until it is complete"
    parser.add_argument("file", metavar="FILE", help=text)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    path = os.path.abspath(args.file)
    if os.path.lexists(path):  # checked early, to save a useless copy
        raise taken(path)
    try:
        size = back_up(args, path)
    except FileExistsError as error:
        raise taken(error.filename2 or error.filename) from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot write {path}: {reason}; name another file") from None
    use = f"to use it: broker --db {shlex.quote(path)}"
    Page().line(one_line(f"{path}: {size} bytes, a sound copy of the store; {use}"))
    return OK


def taken(path: str) -> UsageError:
    return UsageError(f"{path} exists already; name another file, or move that one away")


def back_up(args: argparse.Namespace, path: str) -> int:
    """Make the copy; return its size. Raises OSError, StoreError, or the broker's refusal."""
    part, ends = path + ".part", ends_heard()
    descriptor = os.open(part, NEW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            size = ask(args, lambda client: fetch(client, file, ends))
            for number in ends:  # the event loop has removed its own handlers
                signal.signal(number, leave)
            file.flush()
            os.fsync(descriptor)
        check(part)
        os.link(part, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    with suppress(OSError):  # not every file system can sync a folder
        sync_folder(path)
    return size


def ends_heard() -> list[signal.Signals]:
    """The signals that end this command. One that is ignored stays ignored, as under nohup(1)."""
    return [number for number in ENDS if signal.getsignal(number) is not signal.SIG_IGN]


def leave(number: int, _: object = None) -> None:
    sys.exit(128 + number)


async def fetch(client: BrokerClient, file: BinaryIO, ends: list[signal.Signals]) -> int:
    fetching = asyncio.ensure_future(client.backup(file.write))
    came: list[int] = []

    def end(number: int) -> None:
        came.append(number)
        fetching.cancel()

    for each in ends:
        asyncio.get_running_loop().add_signal_handler(each, end, each)
    try:
        return await fetching
    except asyncio.CancelledError:
        if came:
            leave(came[0])
        raise
    except Refused as error:
        if error.status not in ABSENT:
            raise
        cure = "stop it and copy its store, or run a newer one"
        text = f"the broker at {client.url} is too old to give a backup; {cure}"
        raise Refused(error.status, text, error.fields) from None


def check(part: str) -> None:
    """Raises StoreError when the file is not a store of bridge, or is damaged."""
    # Immutable: otherwise SQLite creates a -wal and a -shm file beside it.
    name = f"file:{quote(part)}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(name, uri=True)) as copy:
            (owner,) = copy.execute("PRAGMA application_id").fetchone()
            (finding,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        owner, finding = APPLICATION_ID, str(error)
    if owner != APPLICATION_ID:
        raise StoreError("the broker sent a file that is not a store of bridge; nothing was kept")
    if finding != "ok":
        cure = "check the broker's own store with `doctor`"
        raise StoreError(f"the broker sent a damaged store ({finding}); nothing was kept; {cure}")


def sync_folder(path: str) -> None:
    """Sync the folder, so that the new name is on disk too."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
