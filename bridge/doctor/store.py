"""The store's file: sound, of our version, private, with room to grow.

It is read only, and without a trace. SQLite makes -wal and -shm files even for a reader, if no
other process has the WAL store open. These files would belong to the user of `doctor`, and
another user's broker could then not open the store. So a store without a -wal file is opened
as immutable. A store with a -wal file also has a -shm file, or its broker was killed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from urllib.parse import quote

from bridge.broker.journal import schema
from bridge.broker.journal.sqlite import CHECKED_MAX
from bridge.doctor.finding import Finding, Setup, fail, ok, size, warn

STEPS = 10000  # of SQLite's virtual machine between two time checks: about a millisecond
LOCK_WAIT = 1.0  # seconds; readers of a WAL store wait only for a recovery
REPLACE = (
    "stop the broker, and move the file away or restore a copy of it "
    "(sqlite3 FILE .dump may save most of its content)"
)
ELSEWHERE = "give --db (or BRIDGE_DB) the broker's own path"


def sound(setup: Setup) -> Finding:
    path = setup.db
    if path == ":memory:":
        return warn(
            "the broker is set to keep nothing on disk (:memory:)",
            "give it --db PATH, or unset BRIDGE_DB, if tickets should survive a restart",
        )
    try:
        size_bytes = os.stat(path).st_size + (
            os.stat(path + "-wal").st_size if os.path.exists(path + "-wal") else 0
        )
    except FileNotFoundError:
        return (
            fail(f"{path} is not there", ELSEWHERE)
            if setup.db_is_named
            else ok(f"none yet; a broker would make {path}")
        )
    except OSError as error:
        return fail(f"{path}: {error.strerror}", "run doctor as the broker's user, or " + ELSEWHERE)
    try:
        return inspect(path, size_bytes, time.monotonic() + setup.doctor.check_deadline / 2000)
    except sqlite3.OperationalError as error:
        return fail(
            f"{path} cannot be read: {error}",
            "run doctor as the broker's user; check the file's permissions and its disk",
        )
    except sqlite3.DatabaseError as error:
        return fail(f"{path} is damaged, or no database: {error}", REPLACE)


def inspect(path: str, size_bytes: int, deadline: float) -> Finding:
    """Raises sqlite3.DatabaseError for a file that cannot be read."""
    with closing(connect(path)) as connection:
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not size_bytes:
            return ok(f"{path} is empty; a broker would fill it")
        if owner != schema.APPLICATION_ID:
            return fail(f"{path} is another program's database", ELSEWHERE)
        if version > schema.VERSION:
            return fail(
                f"{path} is of version {version}, this bridge supports up to {schema.VERSION}",
                "run the newer bridge, or " + ELSEWHERE,
            )
        found = quick_check(connection, size_bytes, deadline)
        if found not in ("sound", "too large to be read through", "too slow to be read through"):
            return fail(f"{path} is damaged: {found}", REPLACE)
        pending = _count_pending(connection) if found == "sound" else "an unknown number"
    older = f" (the broker brings it to {schema.VERSION})" if version < schema.VERSION else ""
    return ok(f"{path}: {found}, version {version}{older}, {size(size_bytes)}, {pending} pending")


def _count_pending(connection: sqlite3.Connection) -> int:
    # Reads the table: there is no index of the pending ones (schema.py).
    (count,) = connection.execute(
        "SELECT count(*) FROM tickets WHERE finished_ms IS NULL"
    ).fetchone()
    return int(count)


def connect(path: str) -> sqlite3.Connection:
    has_log = os.path.exists(path + "-wal")
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(
        f"file:{quote(os.path.abspath(path))}?{mode}", uri=True, timeout=LOCK_WAIT
    )


def quick_check(connection: sqlite3.Connection, size_bytes: int, deadline: float) -> str:
    """The result of PRAGMA quick_check, as far as the time allows."""
    if size_bytes > CHECKED_MAX:
        return "too large to be read through"
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "interrupt" in str(error):
            return "too slow to be read through"
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return "sound" if finding == "ok" else finding


def private(setup: Setup) -> Finding:
    """Tickets hold other people's texts: only the broker's user may read them."""
    files = [
        path for path in (setup.db, setup.db + "-wal", setup.db + "-shm") if os.path.exists(path)
    ]
    if not files:
        return ok("no file yet; it will be 0600")
    for path in files:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            return warn(
                f"{path} has mode {mode:04o}: other users may read or write it",
                f"chmod 600 {path}",
            )
    return ok(f"mode {stat.S_IMODE(os.stat(files[0]).st_mode):04o}, owner {owner_of(files[0])}")


def owner_of(path: str) -> str:
    number = os.stat(path).st_uid
    return f"uid {number}{' (you)' if number == os.getuid() else ''}"


def disk(setup: Setup) -> Finding:
    folder = nearest_folder(setup.db)
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return fail(
            f"{folder} cannot be written",
            "give the broker --db a path in a folder that it may write, or run doctor as its user",
        )
    if free < setup.doctor.disk_free:
        return warn(
            f"{size(free)} are free at {folder}",
            "make room: on a full disk a broker answers sends with 503",
        )
    return ok(f"{size(free)} are free at {folder}")


def nearest_folder(path: str) -> str:
    """The store's folder, or its nearest parent that exists."""
    folder = os.path.dirname(os.path.abspath(path)) if path != ":memory:" else os.getcwd()
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder
