"""Stores that cannot be used: one line with a remedy, a stable exit status, nothing destroyed.

Also the pruning of tickets, and the store in memory.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import sqlite3
import stat
import subprocess
import time

import pytest
from running import Broker, environment, package_launcher, read_line, wait_until, without_slowness

STORE_STATUS = 6  # RUNBOOK's list of exit statuses: the store cannot be used


def fails(db, prefix=(), flags=()) -> str:
    """Start a broker that must refuse. Return its one line of stderr."""
    arguments = [*prefix, *package_launcher(), "broker", "--port", "0", "--db", str(db), *flags]
    ended = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=15)
    assert ended.returncode == STORE_STATUS, (ended.returncode, ended.stderr)
    said = without_slowness(ended.stderr).strip()
    assert said and "\n" not in said and "Traceback" not in said and ended.stdout == "", (
        ended.stderr
    )
    assert str(db) in said, f"the line must name the store: {said}"
    return said


@pytest.fixture
def filled(start, tmp_path):
    """A store with tickets that no broker uses."""
    broker = start()
    for number in range(50):
        broker.send("a", ["x" * 500, number])
    broker.stop()
    return tmp_path / "bridge.db"


def test_a_store_that_another_broker_uses_is_refused(start, tmp_path):
    broker = start()
    said = fails(broker.db)
    assert any(word in said for word in ("another", "in use", "held", "holds")), said
    broker.send("a", "the first broker continues")
    broker.kill()
    broker.start()  # the lock of a dead process is released
    assert len(broker.pending("a")) == 1


def test_a_store_in_use_is_refused_under_another_name(start, tmp_path):
    broker = start()
    link = tmp_path / "other-name.db"
    link.symlink_to(broker.db)
    fails(link)
    broker.send("a", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"this is no database, but a letter\n" * 100,
        b"\x00" * 8192,
        os.urandom(5000),
        b"SQLite format 3\x00" + b"\xff" * 4000,
    ],
    ids=["text", "zeros", "noise", "header"],
)
def test_a_file_that_is_no_store_is_refused_and_not_changed(tmp_path, content):
    path = tmp_path / "bridge.db"
    path.write_bytes(content)
    fails(path)
    assert path.read_bytes() == content, "a file that it cannot read must not change"


def test_an_empty_file_is_a_new_store(start, tmp_path):
    path = tmp_path / "bridge.db"
    path.touch()
    start(db=path).send("a", 1)


@pytest.mark.parametrize("part", ["cut", "middle"])
def test_a_corrupt_store_is_refused(filled, part):
    content = bytearray(filled.read_bytes())
    assert len(content) > 3 * 4096
    if part == "cut":
        del content[len(content) // 2 :]
    else:
        content[4096 : len(content) - 4096] = b"\xa5" * (len(content) - 2 * 4096)
    filled.write_bytes(bytes(content))
    said = fails(filled)
    assert any(
        word in said.lower()
        for word in ("corrupt", "damaged", "malformed", "no bridge store", "not a database")
    ), said


def test_a_store_of_a_newer_version_is_refused(filled):
    with sqlite3.connect(filled) as store:
        version = store.execute("PRAGMA user_version").fetchone()[0]
        store.execute(f"PRAGMA user_version = {version + 1}")
    store.close()
    before = filled.read_bytes()
    said = fails(filled)
    assert "new" in said.lower() or "version" in said.lower(), said
    assert filled.read_bytes() == before


def test_a_store_of_another_program_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "cookies.sqlite"
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE cookies (name TEXT)")
        store.execute("INSERT INTO cookies VALUES ('mine')")
    store.close()
    before = path.read_bytes()
    fails(path)
    assert path.read_bytes() == before


def test_a_folder_in_place_of_a_store_is_refused(tmp_path):
    fails(tmp_path)


def test_an_impossible_path_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    fails(tmp_path / "file" / "bridge.db")
    fails("/proc/no-such-place/bridge.db")


def without_root_powers() -> list[str]:
    """Return a prefix without CAP_DAC_OVERRIDE (capabilities(7)).

    With it, root can write where the mode forbids it.
    """
    if os.getuid() != 0:
        return []
    assert shutil.which("setpriv"), "util-linux is needed to test a read-only folder as root"
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.parametrize(
    "what", ["new store in a read-only folder", "read-only store", "store in a read-only folder"]
)
def test_a_read_only_store_or_folder_is_refused(tmp_path, filled, what):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "bridge.db"
    if what != "new store in a read-only folder":
        shutil.copy(filled, path)
    if what == "read-only store":
        path.chmod(0o400)
    else:
        folder.chmod(0o500)
    try:
        fails(path, prefix=without_root_powers())
    finally:
        folder.chmod(0o700)


def test_only_the_owner_can_read_the_stores_files(start, tmp_path):
    before = os.umask(0)
    try:
        broker = start(db=tmp_path / "new" / "deep" / "bridge.db")
    finally:
        os.umask(before)
    broker.send("a", "secret")
    files = list(pathlib.Path(broker.db).parent.iterdir())
    assert files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path.name} can be read by others"


def test_the_default_path_is_in_the_state_folder(tmp_path):
    """It is $XDG_STATE_HOME/bridge/bridge.db. The broker makes missing folders."""

    arguments = [*package_launcher(), "broker", "--port", "0"]
    process = subprocess.Popen(
        arguments, env=environment(XDG_STATE_HOME=tmp_path), stderr=subprocess.PIPE, text=True
    )
    try:
        assert read_line(process.stderr).startswith("bridge broker ready on ")
        assert (tmp_path / "bridge" / "bridge.db").exists()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_port_in_use_is_one_line_that_names_it(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = [
            *package_launcher(),
            "broker",
            "--port",
            str(port),
            "--db",
            str(tmp_path / "bridge.db"),
        ]
        ended = subprocess.run(
            arguments, env=environment(), capture_output=True, text=True, timeout=60
        )
    said = without_slowness(ended.stderr).strip()
    assert (
        ended.returncode not in (0, STORE_STATUS)
        and "\n" not in said
        and "Traceback" not in said
        and str(port) in said
    ), ended


@pytest.mark.parametrize(
    "flags",
    [
        ["--port", "99999"],
        ["--port", "x"],
        ["--host", "no.such.host.invalid"],
        ["--host", "203.0.113.7"],
        ["--no-such-flag"],
    ],
)
def test_a_bad_flag_is_refused_without_a_traceback(tmp_path, flags):
    arguments = [
        *package_launcher(),
        "broker",
        "--db",
        str(tmp_path / "bridge.db"),
        *(["--port", "0"] if "--port" not in flags else []),
        *flags,
    ]
    ended = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=60)
    assert (
        ended.returncode not in (0, STORE_STATUS)
        and "Traceback" not in ended.stderr
        and ended.stderr.strip()
    ), ended


def test_a_start_on_a_full_disk_is_refused(tmp_path):
    """Not even the schema fits. The refusal is one line, and later the same store works."""
    path = tmp_path / "bridge.db"
    broker = Broker(package_launcher(), path)
    arguments = [
        "prlimit",
        "--fsize=0",
        *package_launcher(),
        "broker",
        "--port",
        "0",
        "--db",
        str(path),
    ]
    ended = subprocess.run(
        arguments,
        env=environment(PYTHONDONTWRITEBYTECODE=1),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (
        ended.returncode == STORE_STATUS
        and "\n" not in ended.stderr.strip()
        and "Traceback" not in ended.stderr
    ), ended
    with broker:
        broker.send("a", 1)


# -- pruning, and the store in memory ------------------------------------------


def test_finished_tickets_are_pruned_and_pending_ones_are_not(start):
    broker = start(BRIDGE_RETENTION=1)
    waits, delivered, replied = (broker.send("a", number) for number in range(3))
    expired = broker.send("a", 3, ttlMs=1)
    broker.acknowledge(delivered)
    broker.ask("POST", "/replies", {"ticketId": replied, "payload": 1})
    wait_until(lambda: broker.ticket(expired)["status"] == "expired", "it expires")
    time.sleep(1.1)  # the retention time, a length of time
    broker.kill()
    broker.start()  # the memory of the first process is gone, and the start prunes the store
    for ticket_id in (delivered, replied, expired):
        wait_until(
            lambda ticket_id=ticket_id: broker.ask("GET", f"/tickets/{ticket_id}").status == 404,
            "it is pruned",
        )
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == [waits]


def test_a_store_in_memory_works_but_keeps_nothing(start):
    broker = start(db=":memory:", BRIDGE_FINISHED_MAX=5, BRIDGE_RATE_LIMIT=0)
    sent = [broker.send("a", number) for number in range(20)]
    with broker.agent_stream("a") as stream:
        assert [event.json["ticketId"] for event in stream.read_events(20)] == sent
    assert broker.ask("POST", f"/tickets/{sent[19]}/claim", {"watcher": "w"}).status == 200
    for ticket_id in sent[:19]:
        assert broker.acknowledge(ticket_id).status == 200
    wait_until(
        lambda: broker.ask("GET", f"/tickets/{sent[0]}").status == 404,
        "the oldest finished ticket is removed",
    )
    assert broker.ask("GET", f"/tickets/{sent[18]}").status == 200
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == sent[19:]
    broker.stop()
    broker.start()
    assert broker.pending("a") == []
