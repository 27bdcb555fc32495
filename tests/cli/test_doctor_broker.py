"""`doctor` and the broker: another version, a proxy that buffers, a wrong clock, no broker."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from email.utils import formatdate

import pytest
from running import stages

from bridge import __version__
from bridge.doctor import broker
from bridge.doctor.finding import Grade
from cli.examining import setup

HEALTH = (
    200,
    {"Content-Type": "application/json"},
    b'{"status":"ok","agents":1,"tickets":2,"uptime":3}',
)
METRICS = (
    200,
    {"Content-Type": "text/plain"},
    f'a 1\nbridge_build_info{{version="{__version__}"}} 1\n'.encode(),
)
STREAM = (200, {"Content-Type": "text/event-stream"}, b"retry: 1000\n:heartbeat\n\n")
MISSING = (404, {"Content-Type": "text/html"}, b"Cannot GET")


@contextlib.contextmanager
def peer(answers, hold: bytes = b"", silent: bool = False):
    """A server with fixed answers by path.

    It does not send a body that equals `hold`; with `silent`, nor the head before it.
    """
    released = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().split()[1].decode().partition("?")[0]
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            status, fields, body = answers.get(path, MISSING)
            is_held = bool(hold) and body == hold
            head = (
                f"HTTP/1.1 {status} X\r\n"
                + "".join(
                    f"{name}: {value}\r\n"
                    for name, value in {
                        "Date": formatdate(usegmt=True),
                        "Connection": "close",
                        **fields,
                    }.items()
                )
                + "\r\n"
            )
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
        thread = threading.Thread(
            target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
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


def test_a_correct_broker_passes_every_check():
    assert (
        judged(broker.reachable, {})[0]
        == judged(broker.stream, {})[0]
        == judged(broker.clock, {})[0]
        == "ok"
    )
    assert judged(broker.version, {}) == ("ok", f"bridge {__version__}, as this one")


@pytest.mark.parametrize("silent", [False, True])
def test_a_proxy_that_buffers_is_named_as_one(silent):
    """It forwards the head and buffers the body, or it buffers both."""
    grade, text = judged(broker.stream, {}, hold=STREAM[2], silent=silent)
    assert grade == "warn" and "buffers" in text and "300 ms" in text


@pytest.mark.parametrize(
    "check, path, answer, grade, words",
    [
        (broker.reachable, "/health", (502, {}, b"bad gateway"), "fail", "502"),
        (broker.reachable, "/health", (421, {}, b""), "fail", "421"),
        (
            broker.reachable,
            "/health",
            (200, {"Content-Type": "text/html"}, b"<h1>hello</h1>"),
            "fail",
            "not as a broker",
        ),
        (broker.version, "/metrics", MISSING, "warn", "predecessor"),
        (broker.version, "/metrics", (200, {}, b"process_cpu_seconds 1\n"), "warn", "not report"),
        (
            broker.version,
            "/metrics",
            (200, {}, b'bridge_build_info{version="9.9.9"} 1\n'),
            "warn",
            "9.9.9",
        ),
        (
            broker.version,
            "/metrics",
            (200, {}, b'bridge_build_info{python="3.9.18",version="9.9.9",sqlite="3.40.1"} 1\n'),
            "warn",
            "9.9.9",
        ),
        (
            broker.version,
            "/metrics",
            (200, {}, b'bridge_build_info{python_version="9.9.9"} 1\n'),
            "warn",
            "does not report",
        ),
        (
            broker.proxy,
            "/health",
            (200, {"Via": "1.1 box", "Server": "nginx/1.24.0"}, b"{}"),
            "ok",
            "nginx/1.24.0",
        ),
        (broker.stream, "/tickets/stream", MISSING, "warn", "no event streams"),
        (broker.stream, "/tickets/stream", (503, {}, b""), "warn", "503"),
        (broker.stream, "/tickets/stream", (403, {}, b""), "fail", "403"),
        (
            broker.stream,
            "/tickets/stream",
            (200, {"Content-Type": "text/html"}, b"hello"),
            "fail",
            "no event stream",
        ),
        (
            broker.stream,
            "/tickets/stream",
            (200, {"Content-Type": "text/event-stream"}, b""),
            "fail",
            "ended",
        ),
        (
            broker.clock,
            "/health",
            (200, {"Date": formatdate(time.time() - 3600, usegmt=True)}, b"{}"),
            "warn",
            "behind",
        ),
        (
            broker.clock,
            "/health",
            (200, {"Date": formatdate(time.time() + 3600, usegmt=True)}, b"{}"),
            "warn",
            "ahead",
        ),
        (broker.clock, "/health", (200, {"Date": "yesterday"}, b"{}"), "warn", "Date"),
    ],
)
def test_faults_of_the_server_are_found(check, path, answer, grade, words):
    found = judged(check, {path: answer})
    assert found[0] == grade and words in found[1]


def test_the_stream_of_the_check_registers_no_agent_and_receives_no_ticket(served):
    ticket = served.send("somebody")
    before = served.ask("GET", "/agents").json
    assert broker.stream(setup(served.url)).grade is Grade.OK
    assert served.ask("GET", "/agents").json == before
    assert served.ask("GET", "/debug/agent/bridge-doctor/status").status == 404
    assert stages(served.ticket(ticket)) == ["accepted"], "it was not streamed"
