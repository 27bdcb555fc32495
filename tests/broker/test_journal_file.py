"""The store's file.

A file that cannot be used is refused in one line and not changed. A new file is readable by its
owner only.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing

import pytest
from virtual_clock import VirtualLoop

from bridge.broker.journal import schema
from bridge.broker.journal.sqlite import SqliteJournal
from bridge.broker.routes import dispatch
from bridge.errors import PeerError, StoreBusy, StoreError
from bridge.wire.request import Limits, RequestParser
from broker.house import make_services
from broker.seams import WALL_MS
from broker.stores import NOW, load, row, with_store
from broker.talk import request


def refusal(path) -> str:
    async def scenario():
        with pytest.raises(StoreError) as caught:
            journal = SqliteJournal(str(path))
            try:
                journal.load(WALL_MS, NOW)
            finally:
                await journal.aclose()
        return str(caught.value)

    text = asyncio.run(scenario())
    assert "\n" not in text and str(path) in text
    cures = ("--db", "move it away", "remove it")
    assert any(word in text for word in cures), "the line must name a remedy"
    return text


def edit(path, *statements) -> None:
    connection = sqlite3.connect(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    load(tmp_path / "a.db")
    edit(tmp_path / "a.db", f"PRAGMA user_version = {schema.VERSION + 1}")
    assert "newer bridge" in refusal(tmp_path / "a.db")
    edit(tmp_path / "a.db", f"PRAGMA user_version = {schema.VERSION}")
    load(tmp_path / "a.db")


def test_another_programs_database_is_refused_and_not_changed(tmp_path):
    edit(tmp_path / "a.db", "CREATE TABLE theirs (x)")
    before = (tmp_path / "a.db").read_bytes()
    assert "another program's" in refusal(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path):
    (tmp_path / "a.db").write_bytes(b"notes of mine\n" * 1000)
    assert "damaged or is no bridge store" in refusal(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == b"notes of mine\n" * 1000


def test_a_store_in_use_is_refused_with_its_holders_pid_also_through_a_link(tmp_path):
    os.symlink(tmp_path / "a.db", tmp_path / "link.db")

    async def scenario(journal):
        for name in ("a.db", "link.db"):
            with pytest.raises(StoreError) as caught:
                SqliteJournal(str(tmp_path / name))
            assert f"pid {os.getpid()}" in str(caught.value) and "--db" in str(caught.value)

    with_store(tmp_path / "a.db", scenario)
    load(tmp_path / "link.db")


def test_a_store_with_two_hard_links_is_refused(tmp_path):
    """Each name would have its own lock and its own WAL."""
    load(tmp_path / "a.db")
    os.link(tmp_path / "a.db", tmp_path / "b.db")
    for name in ("a.db", "b.db"):
        assert "2 hard links" in refusal(tmp_path / name)
    os.unlink(tmp_path / "b.db")
    load(tmp_path / "a.db")


LETTERS = b"dear diary\n"


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "file", "pipe"])
def test_a_lock_path_that_is_another_file_is_refused_and_not_changed(tmp_path, kind):
    lock, mine = tmp_path / "a.db.lock", tmp_path / "precious"
    mine.write_bytes(b"4711\n" if kind == "hard link" else LETTERS)
    if kind == "link":
        lock.symlink_to(mine)
    elif kind == "dangling link":
        lock.symlink_to(tmp_path / "new")
    elif kind == "hard link":
        os.link(mine, lock)
    elif kind == "file":
        lock.write_bytes(LETTERS)
    else:
        os.mkfifo(lock)
    before = mine.read_bytes()
    assert "a.db.lock is" in refusal(tmp_path / "a.db")
    assert mine.read_bytes() == before and not (tmp_path / "new").exists()
    assert kind != "file" or lock.read_bytes() == LETTERS
    lock.unlink()
    load(tmp_path / "a.db")
    load(tmp_path / "a.db")  # the lock file that the first run left is accepted


def test_health_is_503_when_the_writer_thread_has_ended(tmp_path):
    async def scenario(journal):
        with closing(VirtualLoop()) as loop:
            services = make_services(loop, journal)
        parser = RequestParser(Limits())
        parser.feed(request("GET", "/health") * 2)
        assert dispatch(parser.take_request(), services).status == 200
        journal.writer._jobs.put(None)
        journal.writer._thread.join()
        with pytest.raises(PeerError) as caught:
            dispatch(parser.take_request(), services)
        assert caught.value.status == 503 and "writes the store ended" in caught.value.detail
        error = await journal.accept(row(1))
        assert isinstance(error, StoreBusy) and "writes the store ended" in str(error)

    with_store(tmp_path / "a.db", scenario)


def test_a_folder_is_refused(tmp_path):
    refusal(tmp_path)


def test_only_the_owner_can_read_the_store_and_its_folder(tmp_path):
    load(tmp_path / "new" / "a.db")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "a.db").stat().st_mode & 0o777 == 0o600


def test_a_new_store_has_the_version_of_the_last_migration(tmp_path):
    """The version is the number of migrations. A new store has run all of them."""
    assert schema.VERSION == len(schema.MIGRATIONS) > 0
    load(tmp_path / "a.db")
    connection = sqlite3.connect(str(tmp_path / "a.db"))
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_store_with_damaged_rows_is_refused(tmp_path):
    """SQLite's quick_check does not find this damage."""

    async def scenario(journal):
        assert await journal.accept(row(1)) is None

    with_store(tmp_path / "a.db", scenario)
    for damage in ("memo = '{'", "memo = '[1]'", "memo = '{\"claim\": 3}'", "body = x'ff'"):
        edit(tmp_path / "a.db", f"UPDATE tickets SET {damage}")
        assert "damaged" in refusal(tmp_path / "a.db"), damage
        edit(tmp_path / "a.db", "UPDATE tickets SET memo = NULL, body = '{}'")
