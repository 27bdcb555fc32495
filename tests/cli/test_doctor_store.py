"""`doctor` and a store: in use, damaged, of another program, readable by others, too large."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import time

import pytest
from running import Broker, package_launcher

from bridge.broker.journal import schema
from bridge.doctor import store
from bridge.doctor.finding import Grade
from cli.examining import DEAD, setup


@pytest.fixture
def stopped(tmp_path):
    """The store of a broker that has stopped, with a ticket in it."""
    path = tmp_path / "store" / "bridge.db"
    with Broker(package_launcher(), path) as running:
        for number in range(40):
            running.send(f"agent-{number}", "x" * 2000)
    return path


def test_a_sound_store_is_read_and_no_file_is_left_beside_it(stopped):
    before = sorted(os.listdir(stopped.parent))
    assert not any(name.endswith(("-wal", "-shm")) for name in before), (
        "a stopped broker removes these files; else this test would prove nothing"
    )
    finding = store.sound(setup(db=stopped))
    assert (
        finding.grade is Grade.OK
        and "sound, version 2" in finding.text
        and "40 pending" in finding.text
    )
    assert sorted(os.listdir(stopped.parent)) == before


def test_a_store_in_use_is_read_with_its_wal(start, tmp_path):
    running = start(db=tmp_path / "live.db")
    for _ in range(3):
        running.send("lucy")
    finding = store.sound(setup(db=running.db))
    assert finding.grade is Grade.OK and "3 pending" in finding.text
    running.send("lucy")
    assert "4 pending" in store.sound(setup(db=running.db)).text


def test_a_corrupt_store_is_a_failure_with_a_repair(program_for, stopped, tmp_path):
    raw = bytearray(stopped.read_bytes())
    raw[8192:-4096] = b"\xa5" * len(raw[8192:-4096])
    stopped.write_bytes(raw)
    printed = program_for(DEAD).run(
        "doctor", "-S", str(tmp_path / "none"), "--db", str(stopped), status=1
    )
    line, mend = [
        (line, after)
        for line, after in zip(printed.splitlines(), printed.splitlines()[1:])
        if line.split()[:2] == ["fail", "store"]
    ][0]
    assert "damaged" in line and "move the file away" in mend
    stopped.write_bytes(b"this was never a database, and is longer than a header of one is" * 20)
    assert "damaged" in store.sound(setup(db=stopped)).text
    stopped.write_bytes(bytes(raw[:5000]))
    assert store.sound(setup(db=stopped)).grade is Grade.FAIL


def alter(path: pathlib.Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_stores_that_are_not_ours_or_not_there(stopped, tmp_path):
    alter(stopped, f"PRAGMA user_version = {schema.VERSION + 1}")
    assert f"of version {schema.VERSION + 1}" in store.sound(setup(db=stopped)).text
    alter(stopped, "PRAGMA application_id = 7")
    assert "another program's" in store.sound(setup(db=stopped)).text
    assert store.sound(setup(db=tmp_path / "none")).grade is Grade.FAIL
    assert store.sound(setup(db=tmp_path / "none", named=False)).grade is Grade.OK
    assert store.sound(setup(db=":memory:")).grade is Grade.WARN
    assert store.sound(setup(db=tmp_path)).grade is Grade.FAIL  # a folder
    (tmp_path / "empty").touch()
    assert store.sound(setup(db=tmp_path / "empty")).grade is Grade.OK


def test_a_store_that_others_can_read_and_a_disk_that_is_nearly_full(stopped):
    assert store.private(setup(db=stopped)).grade is Grade.OK
    stopped.chmod(0o644)
    finding = store.private(setup(db=stopped))
    assert (
        finding.grade is Grade.WARN
        and "0644" in finding.text
        and finding.mend == f"chmod 600 {stopped}"
    )
    assert store.disk(setup(db=stopped, disk_free=0)).grade is Grade.OK
    assert store.disk(setup(db=stopped, disk_free=1 << 60)).grade is Grade.WARN


def test_a_check_of_a_large_store_ends_in_time(stopped):
    with contextlib.closing(store.connect(str(stopped))) as connection:
        assert (
            store.quick_check(connection, store.CHECKED_MAX + 1, time.monotonic() + 60)
            == "too large to be read through"
        )
        connection.set_progress_handler(None, 0)
    with contextlib.closing(sqlite3.connect(stopped)) as connection:
        connection.execute(
            "CREATE TABLE filler AS WITH RECURSIVE n(x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) SELECT x FROM n"
        )
        connection.commit()
        assert (
            store.quick_check(connection, 1, time.monotonic() - 1) == "too slow to be read through"
        )
        assert store.quick_check(connection, 1, time.monotonic() + 60) == "sound"
