"""A broker with small bounds stays under its documented memory ceiling for any requests.

The ceiling (RUNBOOK, *Memory*) is 64 MiB and what the bounds allow. These are twice
BRIDGE_PENDING_BYTES, BRIDGE_FINISHED_BYTES, and 4 MiB for each connection that reads nothing.
BRIDGE_PENDING_BYTES counts twice because a short ticket takes as much again beside its text.
prlimit(1) makes an allocation beyond the ceiling fail. So a broker that needs more responds with
500 or dies, and the test fails.
"""

from __future__ import annotations

import re

import pytest
from conformance.shapes import check_problem
from running import ROOT, Broker, package_launcher, wait_until

MIB = 1 << 20
NESTED = [[]] * 5000  # 15 kB of JSON, 350 kB of memory
BOUNDS = {
    "BRIDGE_PENDING_BYTES": 16 * MIB,
    "BRIDGE_FINISHED_BYTES": 8 * MIB,
    "BRIDGE_AGENTS_MAX": 40,
    "BRIDGE_RATE_LIMIT": 0,
}
CONNECTIONS = 4
CEILING = 64 * MIB + 2 * 16 * MIB + 8 * MIB + CONNECTIONS * 4 * MIB


@pytest.fixture
def broker(tmp_path):
    launcher = ["prlimit", f"--data={CEILING}", *package_launcher(strict=False)]
    with Broker(launcher, tmp_path / "bridge.db", **BOUNDS) as running:
        yield running


def register(line, number: int, metadata: object) -> int:
    body = {"agentId": f"agent-{number}", "metadata": metadata}
    return line.ask("POST", "/agents/register", body).status


def send(line, agent: str, payload: object, origin: str = "ui"):
    return line.ask(
        "POST", f"/agents/{agent}/send", {"payload": payload, "metadata": {"origin": origin}}
    )


def test_no_kind_of_request_exceeds_the_ceiling(broker):
    with broker.line() as line:
        statuses = [register(line, number, {"a": NESTED}) for number in range(60)]
        assert statuses == [200] * 40 + [429] * 20
        for _ in range(2):  # finished tickets make room for the second round
            for number in range(120):
                ticket_id = send(
                    line, f"agent-{10 + number % 30}", number, f"agent-{number % 10}"
                ).json["ticketId"]
                body = {"watcher": "w", "evidence": NESTED}
                assert line.ask("POST", f"/tickets/{ticket_id}/acknowledge", body).status == 200
                reply = {
                    "ticketId": ticket_id,
                    "payload": [NESTED[:4500]] * (2 if number % 20 == 0 else 1),
                }
                assert line.ask("POST", "/replies", reply).status in (204, 429)
            for number in range(40):
                assert line.ask("DELETE", f"/agents/agent-{number}/tickets/pending").status == 200
        text = "x" * 500_000
        assert {send(line, f"stray-{number}", text).status for number in range(40)} == {202, 429}
        assert {send(line, f"agent-{number % 40}", text).status for number in range(80)} == {
            202,
            503,
        }
        check_problem(line.ask("POST", "/agents/register", {"agentId": "x" * 9}), 429)
        for path in ("/agents", "/overview", "/search?limit=20", "/health"):
            assert line.ask("GET", path).status == 200


def test_unread_lists_do_not_exceed_the_ceiling(broker):
    with broker.line() as line:
        for number in range(40):
            assert register(line, number, {"a": "x" * 15_000}) == 200
    lines = [broker.line() for _ in range(CONNECTIONS)]
    for line in lines:
        line.send(b"GET /agents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 4)
    wait_until(lambda: broker.ask("GET", "/health").status == 200, "it answers others")
    for line in lines:
        line.close()


def test_the_runbook_names_the_ceiling():
    text = (ROOT / "examples" / "RUNBOOK.md").read_text(encoding="utf-8")
    memory = re.search(r"^## Memory\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    words = " ".join(memory[1].split()) if memory else ""
    assert (
        "64 MiB" in words
        and "twice `BRIDGE_PENDING_BYTES`" in words
        and "BRIDGE_FINISHED_BYTES" in words
    )
