"""202 means durable, seen from below: between a request's last byte in and its answer's first byte out there is a sync of the store.

kill -9 cannot show this (the kernel still has the pages); only the system calls can. strace(1) shows them.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess

import pytest
from running import START_DEADLINE, Broker, package_launcher, wait_until

CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
TRACED = "trace=fsync,fdatasync,recvfrom,read,sendto,write,sendmsg,writev"


@pytest.fixture
def traced(tmp_path):
    """A broker under strace; `calls()` gives (name, rest of the line) in order, once the broker has ended."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: nothing else shows a sync")
    out = tmp_path / "calls"
    broker = Broker(
        [
            "strace",
            "-f",
            "-qq",
            "-s",
            "80",
            "-o",
            str(out),
            "-e",
            TRACED,
            *package_launcher(strict=False),
        ],
        tmp_path / "bridge.db",
        BRIDGE_RATE_LIMIT=0,
    )
    broker.spawn()
    try:
        wait_until(
            lambda: broker.port or broker.process.poll() is not None,
            "the ready line",
            START_DEADLINE,
        )
        assert broker.port, broker.said()

        def calls():
            # SIGTERM is for the broker: strace keeps it to itself, and ends with its child.
            child = int(
                subprocess.run(
                    ["ps", "-o", "pid=", "--ppid", str(broker.process.pid)],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            subprocess.run(["kill", "-TERM", str(child)], check=True)
            assert broker.wait() == 0
            return [
                (match[2], match[3])
                for match in map(CALL.match, out.read_text().splitlines())
                if match
            ]

        yield broker, calls
    finally:
        if broker.process.poll() is None:
            broker.signal(signal.SIGKILL)
            broker.wait()


def test_every_answer_that_promises_something_leaves_after_a_sync(traced):
    broker, calls = traced
    ticket_id = broker.send("a", 1, ticketId="t1")
    broker.register("a")
    assert broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"}).status == 200
    assert broker.acknowledge(ticket_id).status == 200
    assert broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": 1}).status == 204
    assert broker.ask("DELETE", "/agents/a").status == 204
    assert broker.ask("GET", "/health").status == 200
    asked, synced, seen = None, False, {}
    for name, rest in calls():
        request = re.search(r'"(POST|DELETE|GET) (\S+) HTTP/1.1', rest)
        if name in ("recvfrom", "read") and request:
            asked, synced = f"{request[1]} {request[2]}", False
        elif name in ("fsync", "fdatasync"):
            synced = True
        elif asked and '"HTTP/1.1 2' in rest:
            seen[asked], asked = synced, None
    promised = [
        "POST /agents/a/send",
        "POST /agents/register",
        f"POST /tickets/{ticket_id}/claim",
        f"POST /tickets/{ticket_id}/acknowledge",
        "POST /replies",
        "DELETE /agents/a",
    ]
    assert {request: seen[request] for request in promised} == dict.fromkeys(promised, True)
    assert seen["GET /health"] is False, "and this test can tell the difference"


def test_an_event_leaves_after_the_sync_of_its_ticket(traced):
    """Pushing first would show a subscriber what a power cut takes back."""
    broker, calls = traced
    with broker.agent_stream("a") as stream:
        stream.read_block()
        broker.send("a", "marked-payload")
        assert stream.read_event().json["payload"] == "marked-payload"
    taken, synced, pushed = False, False, None
    for name, rest in calls():
        if name in ("recvfrom", "read") and '"POST /agents/a/send' in rest:
            taken, synced = True, False
        elif taken and name in ("fsync", "fdatasync"):
            synced = True
        elif taken and pushed is None and re.search(r"event: ticket|id: 1\\n", rest):
            pushed = synced
    assert pushed is True


def test_a_burst_shares_its_syncs(traced):
    """Group commit: what arrives while one commit syncs goes into the next one together."""
    broker, calls = traced
    lines = [broker.line() for _ in range(40)]
    for number in range(5):
        for line in lines:
            line.request("POST", "/agents/a/send", {"payload": number})
        assert {line.read_answer().status for line in lines} == {202}
    for line in lines:
        line.close()
    first, syncs = False, 0
    for name, rest in calls():
        first = first or (name in ("recvfrom", "read") and '"POST /agents/a/send' in rest)
        syncs += first and name in ("fsync", "fdatasync")
    assert 1 <= syncs <= 100, f"{syncs} syncs for 200 sends"
