"""A backup of a store that is written to, or closed, while the thread copies it."""

from __future__ import annotations

import asyncio
import os
import pathlib
import sqlite3
import time
from contextlib import closing, suppress

import pytest

from bridge.errors import RequestError
from broker.stores import accept, load, row, with_store

PATIENCE = 20.0  # seconds
BIG = "x" * 1_000_000
ROWS = 40


async def begin(journal):
    """Begin a copy and wait until its thread has the snapshot and still copies."""
    for number in range(1, ROWS + 1):
        accept(journal, row(number, payload=BIG))
    await journal.flush()
    deadline = time.monotonic() + PATIENCE
    while True:
        copy, woken = journal.copy(), asyncio.Event()
        give_up = copy.join(woken.set)
        while not woken.is_set() and not is_copying():
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        if not woken.is_set():
            return copy, woken, give_up
        copy.close()  # the copy was finished before we looked


def is_copying() -> bool:
    """Whether the copy's file is open. It is made after the snapshot."""
    for each in pathlib.Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if ".copying" in os.readlink(each):
                return True
    return False


def test_rows_that_are_committed_meanwhile_are_not_in_the_copy(tmp_path):
    async def scenario(journal):
        copy, woken, _ = await begin(journal)
        for number in range(ROWS + 1, ROWS + 11):
            assert await accept(journal, row(number)) is None
        await asyncio.wait_for(woken.wait(), PATIENCE)
        assert copy.result() is None and not copy.is_over
        with pytest.raises(RequestError):
            journal.copy()
        content = copy.read(copy.size)
        assert len(content) == copy.size and not copy.read(1)
        copy.close()
        assert copy.is_over
        (tmp_path / "copy.db").write_bytes(content)

    with_store(tmp_path / "a.db", scenario)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT max(seq), count(*) FROM tickets").fetchone() == (ROWS, ROWS)
        assert copy.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    assert load(tmp_path / "a.db").last_seq == ROWS + 10


def test_another_copy_may_begin_after_one_is_given_up(tmp_path):
    async def scenario(journal):
        copy, woken, give_up = await begin(journal)
        give_up()
        assert not copy.is_over, "the thread may still read the store"
        deadline = time.monotonic() + PATIENCE
        while not copy.is_over and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
        assert not woken.is_set() and copy.result() is not None
        journal.copy()

    with_store(tmp_path / "a.db", scenario)
    assert not is_copying()


def test_a_store_that_is_closed_meanwhile_is_one_file(tmp_path):
    """The copy's connection is read-only. If it closed last, the WAL file would remain."""

    async def scenario(journal):
        await begin(journal)

    with_store(tmp_path / "a.db", scenario)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "a.db.lock"]
    assert load(tmp_path / "a.db").last_seq == ROWS
