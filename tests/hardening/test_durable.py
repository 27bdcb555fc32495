"""A 202 means that the ticket is durable.

The broker syncs the store between the last byte of a request and the first byte of its response.
kill -9 cannot show this, because the kernel still has the pages. strace(1) shows the system calls.
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
    """A broker under strace. `calls()` ends it and returns (name, rest of the line) in order."""
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
            # Signal the child: strace does not pass SIGTERM on. It ends when its child ends.
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


def test_every_response_to_a_change_leaves_after_a_sync(traced):
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
    assert seen["GET /health"] is False, "the test must see a response without a sync"


def test_an_event_leaves_after_the_sync_of_its_ticket(traced):
    """Otherwise a subscriber could see a ticket that is lost in a power cut."""
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


def test_the_sends_of_a_burst_share_syncs(traced):
    """Group commit: all sends that arrive during one sync share the next one."""
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
