"""GET /backup and `backup FILE` copy the whole store at one instant while the broker runs."""

from __future__ import annotations

import os
import pathlib
import resource
import signal
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing, suppress

import pytest
from conformance.shapes import check_problem
from running import environment, package_launcher, wait_until

KIND = "application/vnd.sqlite3"
END = 60.0  # seconds for a command on a loaded machine
MANY = 24  # MB, much more than the kernel buffers for a connection
SLOW = {"strict": False, "BRIDGE_RATE_LIMIT": 0, "BRIDGE_SSE_OUTBOX": 65536}


def store_files(broker) -> set[str]:
    """Return the suffixes, after the store's own name, of the files in its folder."""
    path = pathlib.Path(broker.db)
    return {each.name[len(path.name) :] for each in path.parent.iterdir()}


def copies(broker) -> int:
    """Count the copies that the broker has open. Their files have no name any more."""
    found = 0
    for each in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += ".copying" in os.readlink(each)
    return found


def fill(broker, tickets: int) -> None:
    """Send tickets of 1 MB each."""
    for number in range(tickets):
        broker.send(f"big-{number % 8}", "x" * 1_000_000)


def command(broker, name, cwd):
    words = [*package_launcher(), "backup", str(name), "--broker-url", broker.url]
    given = {"cwd": cwd, "env": environment(), "stdin": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **given)


def calm(said: str) -> str:
    """Return the one line of stderr, or "".

    Ignore the lines about slow callbacks, which asyncio's debug mode logs on a loaded machine.
    """
    lines = [line for line in said.splitlines(True) if not line.startswith("Executing")]
    assert len(lines) <= 1 and "Warning" not in said, said
    return "".join(lines)


def run(broker, name, cwd):
    """Run the command. Return its status, its stdout, and the one line of its stderr."""
    process = command(broker, name, cwd)
    out, said = process.communicate(timeout=END)
    return process.returncode, out, calm(said)


def read_away(line, size: int) -> int:
    """Read `size` bytes, or to the end. Return how many bytes came."""
    left, line.held = size - len(line.held), b""
    while left > 0:
        try:
            data = line.socket.recv(min(left, 1 << 20))
        except ConnectionResetError:
            break
        if not data:
            break
        left -= len(data)
    return size - left


def open_download(broker):
    """Open a download that has read only the head."""
    line = broker.line(receive_buffer=4096)
    line.request("GET", "/backup")
    assert line.read_head().status == 200
    return line


def test_a_backup_under_load_holds_all_tickets_that_were_accepted_before(start, tmp_path):
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100000)
    broker.register("a", metadata={"k": 1})
    before = [broker.send("a", "x" * 2000) for _ in range(100)]
    is_over, after = threading.Event(), []

    def send():
        while not is_over.is_set():
            after.append(broker.send("a", "x" * 2000))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wait_until(lambda: after, "it sends")
        before += after[:]
        answer = broker.ask("GET", "/backup")
    finally:
        is_over.set()
        sender.join()
    assert (answer.status, answer.field("content-type")) == (200, KIND)
    assert answer.field("content-length") == str(len(answer.body))
    (tmp_path / "copy.db").write_bytes(answer.body)
    copy = start(db=tmp_path / "copy.db")
    held = [ticket["ticketId"] for ticket in copy.pending("a")]
    sent = [ticket["ticketId"] for ticket in broker.pending("a")]
    assert held == sent[: len(held)] and set(before) <= set(held)
    assert copy.ask("GET", "/agents/a").json["metadata"] == {"k": 1}


def test_the_command_makes_a_private_file_that_a_broker_can_use(start, tmp_path):
    broker = start()
    ticket = broker.send("a", 1)
    folder = tmp_path / "copies"
    folder.mkdir()
    status, out, said = run(broker, "copy.db", folder)
    path = folder / "copy.db"
    size = path.stat().st_size
    assert (status, said) == (0, "")
    assert out.startswith(f"{path}: {size} bytes, ") and f"broker --db {path}\n" in out, out
    assert os.listdir(folder) == ["copy.db"] and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store_files(broker) >= {"", "-wal", "-shm", ".lock"}
    assert not [name for name in store_files(broker) if "copying" in name]
    broker.stop()
    copy = start(db=path)
    assert [each["ticketId"] for each in copy.pending("a")] == [ticket]


def test_the_command_replaces_no_file_and_leaves_none_behind(start, tmp_path):
    broker = start()
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "mine").write_text("precious")
    (folder / "link").symlink_to(folder / "nowhere")
    (folder / "other.part").write_text("precious too")
    for name, word in [
        ("mine", "mine exists already"),
        ("link", "link exists already"),
        ("other", "other.part exists already"),
        ("none/copy.db", "No such file"),
    ]:
        status, _, said = run(broker, name, folder)
        assert status == 2 and word in said, said
    assert sorted(os.listdir(folder)) == ["link", "mine", "other.part"]
    assert (folder / "mine").read_text() == "precious"
    assert (folder / "other.part").read_text() == "precious too"
    broker.stop()
    assert run(broker, "late", folder)[0] == 3
    memory = start(db=":memory:")
    status, _, said = run(memory, "late", folder)
    assert status == 5 and ":memory:" in said
    assert sorted(os.listdir(folder)) == ["link", "mine", "other.part"]


def test_a_second_backup_is_409_while_the_first_is_open(start):
    broker = start(**SLOW)
    fill(broker, 8)
    with open_download(broker) as first:
        check_problem(broker.ask("GET", "/backup"), 409)
        check_problem(broker.ask("GET", "/backup"), 409)
        first.read_exactly(1000)
    wait_until(lambda: broker.ask("HEAD", "/backup").status == 200, "the first is given up")


def test_a_backup_of_a_memory_store_is_409(start):
    broker = start(db=":memory:")
    answer = broker.ask("GET", "/backup")
    check_problem(answer, 409)
    assert "--db :memory:" in answer.json["detail"]


def test_head_has_the_fields_of_get(start):
    broker = start()
    with broker.line() as line:
        head = line.ask("HEAD", "/backup")
        assert (head.status, head.field("content-type"), line.is_closed()) == (200, KIND, True)
    body = broker.ask("GET", "/backup").body
    assert head.field("content-length") == str(len(body)) and body.startswith(b"SQLite format 3\0")


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Origin": "https://evil.example"},
    ],
)
def test_a_page_of_another_site_is_refused(broker, fields):
    check_problem(broker.ask("GET", "/backup", fields=list(fields.items())), 403)


def test_a_stalled_download_delays_nothing_holds_no_memory_and_is_disconnected(start):
    broker = start(**SLOW, BRIDGE_WRITE_DEADLINE=1000)
    fill(broker, MANY)
    with open_download(broker) as line:  # memory that the first download takes is no leak
        assert read_away(line, MANY * 1_000_000) == MANY * 1_000_000
    wait_until(lambda: broker.ask("HEAD", "/backup").status == 200, "the first is given up")
    before = broker.memory_kib()
    with open_download(broker) as line:
        broker.send("a", "as ever")
        grown = broker.memory_kib() - before
        assert grown < 8_000, f"{grown} KiB for a copy of {MANY} MB that is not read"
        assert copies(broker) == 1
        wait_until(lambda: not copies(broker), "it is cut, and its file closed")
        assert read_away(line, MANY * 1_000_000) < MANY * 1_000_000
    assert broker.ask("HEAD", "/backup").status == 200


def test_a_slow_reader_gets_the_whole_backup(start):
    broker = start(**SLOW, BRIDGE_WRITE_DEADLINE=1000)
    fill(broker, 4)
    with broker.line(receive_buffer=4096) as line:
        line.request("GET", "/backup")
        head = line.read_head()
        size = int(head.field("content-length"))
        assert read_away(line, size) == size and line.is_closed()


def test_a_killed_client_leaves_no_finished_file_and_no_copy_at_the_broker(start, tmp_path):
    broker = start(**SLOW)
    fill(broker, MANY)
    before = store_files(broker)
    folder = tmp_path / "copies"
    folder.mkdir()
    for number, left in [
        (signal.SIGKILL, ["a.db.part"]),
        (signal.SIGTERM, []),
        (signal.SIGINT, []),
    ]:
        process = command(broker, "a.db", folder)
        part = folder / "a.db.part"
        wait_until(lambda: part.exists() and part.stat().st_size, "some of it has come")
        process.send_signal(signal.SIGSTOP)  # so that it cannot finish first
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=END)
        assert os.listdir(folder) == left and process.returncode, calm(said)
        assert not calm(said)
        for name in left:
            (folder / name).unlink()
    wait_until(lambda: not copies(broker), "their files are closed")
    assert store_files(broker) == before
    assert run(broker, "a.db", folder)[0] == 0


def test_a_broker_that_is_killed_during_a_copy_leaves_no_file(start):
    broker = start(**SLOW)
    fill(broker, 8)
    with open_download(broker):
        broker.kill()
    assert store_files(broker) <= {"", "-wal", "-shm", ".lock"}
    pathlib.Path(broker.db + ".copying").write_text("of a copy that kill -9 met")
    broker.start()
    assert ".copying" not in store_files(broker)
    assert broker.ask("HEAD", "/backup").status == 200


def test_a_full_disk_is_503_and_no_file_remains(start):
    broker = start(**SLOW)
    fill(broker, 8)
    before = store_files(broker)
    limits = resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY)
    resource.prlimit(broker.process.pid, *limits)
    answer = broker.ask("GET", "/backup")
    check_problem(answer, 503)
    assert "no copy of the store was made" in answer.json["detail"] and answer.field("retry-after")
    assert store_files(broker) == before
    resource.prlimit(broker.process.pid, limits[0], (resource.RLIM_INFINITY,) * 2)
    assert broker.ask("HEAD", "/backup").status == 200


def test_a_stop_during_a_download_is_clean(start):
    """The copy's connection must not prevent the checkpoint of the WAL into the store."""
    broker = start(**SLOW, BRIDGE_DRAIN_TIMEOUT=300)
    fill(broker, 8)
    with open_download(broker):
        broker.signal(signal.SIGTERM)
        assert broker.wait() == 0
    broker.check_calm()
    assert store_files(broker) == {"", ".lock"}


def test_a_store_that_was_replaced_is_not_copied(start):
    broker = start(BRIDGE_DRAIN_TIMEOUT=20000)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
        with broker.line() as other:
            other.ask("GET", "/health")
            os.rename(broker.db, broker.db + ".away")
            with closing(sqlite3.connect(broker.db)) as impostor:
                impostor.execute("CREATE TABLE another (thing)")
            check_problem(other.ask("GET", "/backup"), 503)
        line.send(b'"payload":1}')
    assert broker.wait() == 6
