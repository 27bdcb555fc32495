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
from bridge.errors import Reason, RequestError, StoreBusy, StoreError
from bridge.wire.request import Limits, RequestParser
from broker.seams import WALL_MS
from broker.small_server import make_services
from broker.stores import NOW, accept, load, row, with_store
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
        with pytest.raises(RequestError) as caught:
            dispatch(parser.take_request(), services)
        assert (
            caught.value.reason is Reason.STORE and "writes the store ended" in caught.value.detail
        )
        error = await accept(journal, row(1))
        assert isinstance(error, StoreBusy) and "writes the store ended" in str(error)

    with_store(tmp_path / "a.db", scenario)


def test_a_folder_is_refused(tmp_path):
    refusal(tmp_path)


def test_only_the_owner_can_read_the_store_and_its_folder(tmp_path):
    load(tmp_path / "new" / "a.db")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "a.db").stat().st_mode & 0o777 == 0o600


def test_a_new_store_is_of_the_present_version(tmp_path):
    load(tmp_path / "a.db")
    connection = sqlite3.connect(str(tmp_path / "a.db"))
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_there_is_a_migration_from_each_older_version():
    assert sorted(schema.MIGRATIONS) == list(range(1, schema.VERSION))


# A store of bridge 0.2.0 with one pending ticket and one pruned ticket.
VERSION_1 = """
    CREATE TABLE tickets (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL,
        body TEXT NOT NULL, created_ms INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,
        ttl_ms INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
        updated_ms INTEGER NOT NULL DEFAULT 0, memo TEXT, finished_ms INTEGER
    );
    CREATE INDEX pending ON tickets (seq) WHERE finished_ms IS NULL;
    CREATE INDEX finished ON tickets (finished_ms) WHERE finished_ms IS NOT NULL;
    CREATE TABLE agents (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE subscriptions (
        subscriber TEXT NOT NULL, agent TEXT NOT NULL, owed_seq INTEGER NOT NULL,
        PRIMARY KEY (subscriber, agent)
    ) WITHOUT ROWID;
    INSERT INTO tickets (seq, id, agent, body, created_ms, timeout_ms, ttl_ms)
        VALUES (3, 't3', 'lucy', '{}', 1, 30000, 0), (9, 't9', 'lucy', '{}', 1, 30000, 0);
    DELETE FROM tickets WHERE seq = 9;
    INSERT INTO subscriptions VALUES ('default', 'lucy', 2);
    PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("is_ever_used", [True, False])
def test_a_store_of_version_1_is_migrated(tmp_path, is_ever_used):
    script = (
        VERSION_1
        if is_ever_used
        else VERSION_1.replace("INSERT INTO tickets", "-- ").replace("VALUES (3", "-- ")
    )
    connection = sqlite3.connect(str(tmp_path / "a.db"))
    connection.executescript(f"{script} PRAGMA application_id = {schema.APPLICATION_ID};")
    connection.close()
    for _ in range(2):  # migrated, then opened again
        kept = load(tmp_path / "a.db")
        assert kept.last_seq == (9 if is_ever_used else 0)
        assert [each.seq for each in kept.pending] == ([3] if is_ever_used else [])
        assert kept.subscriptions == [("default", "lucy", 2)]

    async def scenario(journal):
        assert await accept(journal, row(10)) is None

    with_store(tmp_path / "a.db", scenario)
    assert load(tmp_path / "a.db").last_seq == 10


def test_a_migration_that_fails_leaves_the_older_store(tmp_path):
    """The script and the new version are one transaction."""
    connection = sqlite3.connect(str(tmp_path / "a.db"))
    connection.executescript(f"{VERSION_1} PRAGMA application_id = {schema.APPLICATION_ID};")
    connection.execute("CREATE TABLE counters (x)")  # the migration fails at its second statement
    connection.close()
    refusal(tmp_path / "a.db")
    connection = sqlite3.connect(str(tmp_path / "a.db"))
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    assert "pending" in names


def test_a_store_with_damaged_rows_is_refused(tmp_path):
    """SQLite's quick_check does not find this damage."""

    async def scenario(journal):
        assert await accept(journal, row(1)) is None

    with_store(tmp_path / "a.db", scenario)
    for damage in ("memo = '{'", "memo = '[1]'", "memo = '{\"claim\": 3}'", "body = x'ff'"):
        edit(tmp_path / "a.db", f"UPDATE tickets SET {damage}")
        assert "damaged" in refusal(tmp_path / "a.db"), damage
        edit(tmp_path / "a.db", "UPDATE tickets SET memo = NULL, body = '{}'")
