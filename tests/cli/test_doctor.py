"""`doctor` against what it is for: real brokers, stores and tmux servers, and what is wrong with others."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socketserver
import sqlite3
import sys
import threading
import time
from email.utils import formatdate

import pytest

from bridge import __version__
from bridge.broker.journal import schema
from bridge.doctor import broker, machine, store, tmux
from bridge.doctor.examination import CHECKS, examine
from bridge.doctor.finding import Check, Grade, Setup, ok, size
from bridge.settings import ClientSettings, DoctorSettings, TmuxSettings, WatcherSettings
from bridge.tmux.command import Tmux
from running import ROOT, Broker, package_launcher, stages

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tmux"))

from panes import Server  # noqa: E402

DEAD = "http://127.0.0.1:1"


def setup(url: str = DEAD, db: str = "/nowhere/bridge.db", named: bool = True, program: str = "tmux", first_byte: int = 5000, shell_command: str = "x", **doctor) -> Setup:
    watcher, panes = WatcherSettings(first_byte=first_byte), TmuxSettings(shell_command=shell_command)
    return Setup(DoctorSettings(**doctor), ClientSettings(broker_url=url), watcher, panes, Tmux("bridge-test-no-such-server", program=program), str(db), named)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    started.open("sleep 100000")
    yield started
    started.stop()


# The command


def test_all_is_well_with_a_real_broker_a_real_store_and_a_real_tmux(bridge, served, server):
    printed = bridge.run("doctor", "-L", server.name, "--db", served.db)
    lines = printed.splitlines()
    found = {line.split()[1]: line for line in lines if line.startswith(("ok", "warn", "fail"))}
    assert list(found) == [check.name for check in CHECKS], printed
    assert not any(line.startswith("fail") for line in lines)
    for name in ("python", "sqlite", "server", "broker", "version", "proxy", "stream", "clock", "store", "mode", "disk"):
        assert found[name].startswith("ok  "), found[name]
    assert served.url in found["broker"] and __version__ in found["version"] and "1 session, 1 pane" in found["server"]
    assert "sound, version 1" in found["store"] and "0600" in found["mode"]
    # Only what is not well has a second line, and that line says how to mend it.
    for line, after in zip(lines, lines[1:]):
        assert line.startswith("warn") == after.startswith("      mend:")


def test_nobody_home_is_one_failure_and_status_1(program_for, tmp_path):
    program = program_for(DEAD, HOME=tmp_path, XDG_STATE_HOME=tmp_path / "state")
    found = {each["check"]: each for each in json.loads(program.run("doctor", "-S", str(tmp_path / "none"), "--json", status=1))}
    assert [name for name, each in found.items() if each["grade"] == "fail"] == ["broker"]
    assert "refused" in found["broker"]["text"] and "python3 -m bridge broker" in found["broker"]["mend"]
    assert set(found) == {check.name for check in CHECKS if check.needs != "broker"}, "what needs a broker was left out"
    assert found["server"]["grade"] == "warn" and "tmux new" in found["server"]["mend"]
    assert found["store"]["grade"] == "ok" and str(tmp_path) in found["store"]["text"] and os.listdir(tmp_path) == [], "it made no file"
    assert "4 not made" in program.run("doctor", "-S", str(tmp_path / "none"), status=1).splitlines()[-1]


def test_a_setting_that_is_wrong_is_a_finding_or_a_usage_error(program_for, tmp_path):
    found = {each["check"]: each for each in json.loads(program_for("gopher://x").run("doctor", "-S", str(tmp_path / "none"), "--json", status=1))}
    assert found["broker"]["grade"] == "fail" and "gopher" in found["broker"]["text"]
    program_for(DEAD).run("doctor", "--check-deadline", "soon", status=2)


def test_the_locale_that_it_was_started_with_counts(program_for, tmp_path):
    """Python itself coerces the C locale to UTF-8 (PEP 538): the check must not be taken in by that."""
    program = program_for(DEAD)
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        program.environment.pop(name, None)
    words = ("doctor", "-S", str(tmp_path / "none"), "--json")
    for variables, grade in [({}, "warn"), ({"LANG": "C"}, "warn"), ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "warn"), ({"LANG": "C", "LC_CTYPE": "C.utf8"}, "ok")]:
        plain, program.environment = program.environment, {**program.environment, **variables}
        found = {each["check"]: each for each in json.loads(program.run(*words, status=1))}
        program.environment = plain
        assert found["locale"]["grade"] == grade, (variables, found["locale"])


# A check that breaks, and one that hangs


def test_a_check_that_breaks_or_hangs_is_a_finding_and_the_others_go_on():
    never = threading.Event()

    def breaks(_: Setup):
        raise ZeroDivisionError("no luck")

    checks = (
        Check("breaks", breaks),
        Check("after", lambda _: ok("not made"), needs="breaks"),
        Check("hangs", lambda _: never.wait() or ok("never")),
        Check("well", lambda _: ok("fine")),
    )
    found = {check.name: finding for check, finding in examine(setup(check_deadline=100, first_byte=100), checks)}
    never.set()
    assert list(found) == ["breaks", "hangs", "well"]
    assert found["breaks"].grade is Grade.FAIL and "ZeroDivisionError: no luck" in found["breaks"].text and found["breaks"].mend
    assert found["hangs"].grade is Grade.FAIL and "did not end within 0.2 s" in found["hangs"].text
    assert found["well"] == ok("fine")


# What answers at the URL


HEALTH = (200, {"Content-Type": "application/json"}, b'{"status":"ok","agents":1,"tickets":2,"uptime":3}')
METRICS = (200, {"Content-Type": "text/plain"}, f'a 1\nbridge_build_info{{version="{__version__}"}} 1\n'.encode())
STREAM = (200, {"Content-Type": "text/event-stream"}, b"retry: 1000\n:heartbeat\n\n")
MISSING = (404, {"Content-Type": "text/html"}, b"Cannot GET")


@contextlib.contextmanager
def peer(answers, hold: bytes = b"", silent: bool = False):
    """A peer at the byte seam: canned answers by path; a body that equals `hold` is kept back, `silent` also its head."""
    released = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().split()[1].decode().partition("?")[0]
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            status, fields, body = answers.get(path, MISSING)
            is_held = bool(hold) and body == hold
            head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in {"Date": formatdate(usegmt=True), "Connection": "close", **fields}.items()) + "\r\n"
            if not (is_held and silent):
                self.wfile.write(head.encode())
                self.wfile.flush()
            if is_held:
                released.wait(20)
            else:
                self.wfile.write(body)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Threads(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}"
        finally:
            released.set()
            listening.shutdown()
            thread.join(10)


GOOD = {"/health": HEALTH, "/metrics": METRICS, "/tickets/stream": STREAM}


def judged(check, answers, **options) -> tuple[str, str]:
    with peer({**GOOD, **answers}, **options) as url:
        finding = check(setup(url, first_byte=300))
    assert (finding.grade is Grade.OK) == (finding.mend == "")
    return finding.grade.value, finding.text


def test_a_peer_that_does_all_that_is_asked_is_well():
    assert judged(broker.reachable, {})[0] == judged(broker.stream, {})[0] == judged(broker.clock, {})[0] == "ok"
    assert judged(broker.version, {}) == ("ok", f"bridge {__version__}, as this one")


@pytest.mark.parametrize("silent", [False, True])
def test_a_proxy_that_buffers_is_named_as_one(silent):
    """It passes the head and keeps the body, or it keeps both."""
    grade, text = judged(broker.stream, {}, hold=STREAM[2], silent=silent)
    assert grade == "warn" and "buffers" in text and "300 ms" in text


@pytest.mark.parametrize(
    "check, path, answer, grade, words",
    [
        (broker.reachable, "/health", (502, {}, b"bad gateway"), "fail", "502"),
        (broker.reachable, "/health", (421, {}, b""), "fail", "421"),
        (broker.reachable, "/health", (200, {"Content-Type": "text/html"}, b"<h1>hello</h1>"), "fail", "not as a broker"),
        (broker.version, "/metrics", MISSING, "warn", "predecessor"),
        (broker.version, "/metrics", (200, {}, b"process_cpu_seconds 1\n"), "warn", "does not say"),
        (broker.version, "/metrics", (200, {}, b'bridge_build_info{version="9.9.9"} 1\n'), "warn", "9.9.9"),
        (broker.version, "/metrics", (200, {}, b'bridge_build_info{python="3.9.18",version="9.9.9",sqlite="3.40.1"} 1\n'), "warn", "9.9.9"),
        (broker.version, "/metrics", (200, {}, b'bridge_build_info{python_version="9.9.9"} 1\n'), "warn", "does not say"),
        (broker.proxy, "/health", (200, {"Via": "1.1 box", "Server": "nginx/1.24.0"}, b"{}"), "ok", "nginx/1.24.0"),
        (broker.stream, "/tickets/stream", MISSING, "warn", "no event streams"),
        (broker.stream, "/tickets/stream", (503, {}, b""), "warn", "503"),
        (broker.stream, "/tickets/stream", (403, {}, b""), "fail", "403"),
        (broker.stream, "/tickets/stream", (200, {"Content-Type": "text/html"}, b"hello"), "fail", "no event stream"),
        (broker.stream, "/tickets/stream", (200, {"Content-Type": "text/event-stream"}, b""), "fail", "ended"),
        (broker.clock, "/health", (200, {"Date": formatdate(time.time() - 3600, usegmt=True)}, b"{}"), "warn", "behind"),
        (broker.clock, "/health", (200, {"Date": formatdate(time.time() + 3600, usegmt=True)}, b"{}"), "warn", "ahead"),
        (broker.clock, "/health", (200, {"Date": "yesterday"}, b"{}"), "warn", "Date"),
    ],
)
def test_what_is_wrong_with_the_other_side(check, path, answer, grade, words):
    found = judged(check, {path: answer})
    assert found[0] == grade and words in found[1]


def test_the_stream_that_is_tried_makes_no_agent_and_gets_no_ticket(served):
    ticket = served.send("somebody")
    before = served.ask("GET", "/agents").json
    assert broker.stream(setup(served.url)).grade is Grade.OK
    assert served.ask("GET", "/agents").json == before
    assert served.ask("GET", "/debug/agent/bridge-doctor/status").status == 404
    assert stages(served.ticket(ticket)) == ["accepted"], "it was not even streamed"


# tmux


@pytest.mark.parametrize(
    "version, grade, words",
    [
        ((1, 9), "fail", ["before 2.2", "before 3.0"]),
        ((2, 7), "warn", ["before 3.0", "before 3.2", "before 3.4"]),
        ((3, 0), "warn", ["before 3.2"]),
        ((3, 3), "ok", ["before 3.4 a paste into a dead pane kills the whole server"]),
        ((3, 4), "ok", []),
        ((99, 0), "ok", []),
    ],
)
def test_what_a_version_of_tmux_lacks(version, grade, words):
    finding = tmux.judge_version("tmux x", version)
    assert finding.grade.value == grade and all(each in finding.text for each in words) and finding.text.count("before") >= len(words)
    assert bool(finding.mend) == (grade != "ok")


def script(folder: pathlib.Path, text: str, name: str = "tmux") -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_an_old_tmux_in_the_path(program_for, tmp_path):
    """A program that only ever says its version: what it lacks is listed, and its nonsense is no traceback."""
    script(tmp_path, "echo tmux 2.7\n")
    program = program_for(DEAD, PATH=f"{tmp_path}:{os.environ['PATH']}")
    found = {each["check"]: each for each in json.loads(program.run("doctor", "--json", status=1))}
    assert found["tmux"]["grade"] == "warn" and "tmux 2.7" in found["tmux"]["text"] and "before 3.0" in found["tmux"]["text"]
    assert found["server"]["grade"] == "fail" and "no tmux would" in found["server"]["text"]


def test_no_tmux_at_all_and_one_that_hangs(tmp_path):
    assert tmux.program(setup(program=str(tmp_path / "tmux"))).grade is Grade.FAIL
    hanging = setup(program=script(tmp_path, "exec sleep 1000\n"))
    hanging.tmux._deadline = 0.2
    finding = tmux.program(hanging)
    assert finding.grade is Grade.FAIL and "no answer" in finding.text


@pytest.mark.parametrize(
    "said, grade, words",
    [
        ("echo 'no server running on /tmp/x' >&2; exit 1", "warn", "no server runs"),
        ("echo 'protocol version mismatch (client 8, server 7)' >&2; exit 1", "fail", "protocol version"),
        ("echo '3.2a $0'; echo '3.2a $1'; echo '3.2a $1'", "warn", "2 sessions, 3 panes; it still runs 3.2a, the program is 3.4"),
        ("echo '3.4 $0'", "ok", "1 session, 1 pane"),
        ("echo ' $0'", "ok", "1 session, 1 pane"),
    ],
)
def test_what_a_tmux_server_may_say(tmp_path, said, grade, words):
    program = script(tmp_path, f'case "$*" in *-V*) echo tmux 3.4;; *) {said};; esac\n')
    finding = tmux.server(setup(program=program))
    assert finding.grade.value == grade and words in finding.text


# The store


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
    assert not any(name.endswith(("-wal", "-shm")) for name in before), "a stopped broker tidies up; else this test would prove nothing"
    finding = store.sound(setup(db=stopped))
    assert finding.grade is Grade.OK and "sound, version 1" in finding.text and "40 pending" in finding.text
    assert sorted(os.listdir(stopped.parent)) == before


def test_a_store_in_use_is_read_with_what_is_only_in_its_log(start, tmp_path):
    running = start(db=tmp_path / "live.db")
    for _ in range(3):
        running.send("lucy")
    finding = store.sound(setup(db=running.db))
    assert finding.grade is Grade.OK and "3 pending" in finding.text
    running.send("lucy")
    assert "4 pending" in store.sound(setup(db=running.db)).text


def test_a_corrupt_store_is_a_failure_that_says_what_to_do(program_for, stopped, tmp_path):
    raw = bytearray(stopped.read_bytes())
    raw[8192:-4096] = b"\xa5" * len(raw[8192:-4096])
    stopped.write_bytes(raw)
    printed = program_for(DEAD).run("doctor", "-S", str(tmp_path / "none"), "--db", str(stopped), status=1)
    line, mend = [(line, after) for line, after in zip(printed.splitlines(), printed.splitlines()[1:]) if line.split()[:2] == ["fail", "store"]][0]
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
    assert "of version 2" in store.sound(setup(db=stopped)).text
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
    assert finding.grade is Grade.WARN and "0644" in finding.text and finding.mend == f"chmod 600 {stopped}"
    assert store.disk(setup(db=stopped, disk_free=0)).grade is Grade.OK
    assert store.disk(setup(db=stopped, disk_free=1 << 60)).grade is Grade.WARN


def test_a_check_of_a_large_store_ends_in_time(stopped):
    with contextlib.closing(store.connect(str(stopped))) as connection:
        assert store.quick_check(connection, store.CHECKED_MAX + 1, time.monotonic() + 60) == "too large to be read through"
        connection.set_progress_handler(None, 0)
    with contextlib.closing(sqlite3.connect(stopped)) as connection:
        connection.execute("CREATE TABLE filler AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) SELECT x FROM n")
        connection.commit()
        assert store.quick_check(connection, 1, time.monotonic() - 1) == "too slow to be read through"
        assert store.quick_check(connection, 1, time.monotonic() + 60) == "sound"


# The machine


def test_which_bridge_is_in_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.name(setup()).grade is Grade.OK
    script(tmp_path, "exec iproute2\n", "bridge")
    finding = machine.name(setup())
    assert finding.grade is Grade.WARN and "python3 -m bridge" in finding.mend
    (tmp_path / "bridge").write_text("#!/usr/bin/python3\nimport sys\nfrom bridge.__main__ import run\nsys.exit(run())\n")
    assert machine.name(setup()).grade is Grade.OK


def test_the_packed_program_is_known_as_ours(program):
    assert machine.is_ours(program)


def test_the_command_of_a_pane_s_shell_is_tried_in_another_folder(monkeypatch):
    command = f"{sys.executable} -m bridge"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert machine.command(setup(shell_command=command + " show {id}")).grade is Grade.OK
    monkeypatch.delenv("PYTHONPATH")
    finding = machine.command(setup(shell_command=f"{sys.executable} -I -m bridge show {{id}}"))
    assert finding.grade is Grade.WARN and "No module named" in finding.text and "pip install" in finding.mend
    assert machine.command(setup(shell_command="read-ticket {id}")).grade is Grade.OK, "one's own command is not run"


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, ("LANG", "")),
        ({"LANG": "C.UTF-8"}, ("LANG", "C.UTF-8")),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C"}, ("LC_CTYPE", "C")),
        ({"LANG": "C", "LC_ALL": "de_DE.utf8", "LC_CTYPE": "C"}, ("LC_ALL", "de_DE.utf8")),
        ({"LANG": "C", "LC_ALL": ""}, ("LANG", "C")),
    ],
)
def test_which_variable_names_the_locale(environ, expected):
    assert machine.locale_of(environ) == expected


def test_descriptors_are_judged_by_the_hard_limit():
    assert machine.descriptors(setup(descriptors=1)).grade is Grade.OK
    finding = machine.descriptors(setup(descriptors=1 << 62))
    assert finding.grade is Grade.WARN or finding.text == "no limit"


@pytest.mark.parametrize("number, text", [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")])
def test_sizes_as_people_read_them(number, text):
    assert size(number) == text
