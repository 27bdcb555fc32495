"""Bounds beyond those of a send: evidence, replies, registrations, and responses that list them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from urllib.parse import quote

import pytest
from conformance.shapes import check_agent, check_problem
from running import ROOT, compact, environment, new_name, package_launcher, wait_until

KIB = 1024
NESTED = [[]] * 5000  # 15 kB of JSON, 350 kB of memory


def kept_of(broker, evidence: object) -> object:
    """Acknowledge a ticket with this evidence. Return the evidence in the history."""
    ticket_id = broker.send(new_name())
    answer = broker.acknowledge(ticket_id, {"watcher": "w" * 100, "evidence": evidence})
    assert answer.status == 200 and answer.json["status"] == "delivered"
    injected, acknowledged = broker.ticket(ticket_id)["history"][-2:]
    assert injected["evidence"] == acknowledged["evidence"]
    return acknowledged["evidence"]


def test_evidence_is_cut_to_its_bound_and_the_ticket_is_acknowledged(broker):
    """A refusal of long evidence would make a watcher type the ticket's text again."""
    fits = {"pane": "%1", "screen": "é" * 8_000, "nested": [[]] * 100}
    assert kept_of(broker, fits) == fits
    at = "2026-01-01T00:00:00.000Z"
    long = {"screen": "x" * 90_000, "list": [[]] * 9_000, "k" * 20_000: 1, "submittedAt": at}
    kept = kept_of(broker, long)
    assert kept == {"cutFrom": len(compact(long)), "screen": "x" * 2048, "submittedAt": at}
    many = {f"field {number}": "y" * 3_000 for number in range(100)}
    kept = kept_of(broker, many)
    assert 6 <= len(kept) <= 9 and len(compact(kept)) < 17_000
    assert kept_of(broker, "z" * 17_000) == {"cutFrom": 17_002, "text": "z" * 2048}
    assert kept_of(broker, [[]] * 9_000) == {"cutFrom": 27_001}


def test_a_registration_is_bounded_also_when_it_is_merged(broker):
    agent = new_name()
    problem = check_problem(
        broker.ask("POST", "/agents/register", {"agentId": agent, "metadata": {"a": "x" * 17_000}}),
        413,
    )
    assert agent in problem["detail"] and "16384" in problem["detail"]
    broker.register(agent, metadata={"a": "x" * 9_000})
    body = {"agentId": agent, "metadata": {"b": "x" * 9_000}}
    assert (
        "unregister" in check_problem(broker.ask("POST", "/agents/register", body), 413)["detail"]
    )
    assert "b" not in broker.register(agent, type="again")["metadata"]
    broker.ask("DELETE", f"/agents/{agent}")


def test_a_longer_registration_of_an_older_version_is_kept(start, tmp_path):
    """A store may hold a longer one. Its watcher registers again with the same metadata."""
    broker = start()
    broker.register("lucy", metadata={"a": "x"})
    broker.stop()
    store = sqlite3.connect(tmp_path / "bridge.db")
    with store:
        (record,) = store.execute("SELECT record FROM agents WHERE id = 'lucy'").fetchone()
        long = {**json.loads(record), "metadata": {"a": "x" * 30_000}}
        store.execute("UPDATE agents SET record = ? WHERE id = 'lucy'", (json.dumps(long),))
    store.close()
    broker.start()
    assert broker.register("lucy", metadata={"a": "x" * 30_000})["metadata"] == long["metadata"]
    check_problem(
        broker.ask("POST", "/agents/register", {"agentId": "lucy", "metadata": {"b": 1}}), 413
    )


def test_the_bytes_of_finished_tickets_include_replies_and_evidence(start):
    """Each takes 350 kB of memory for 15 kB of JSON. If not counted, 300 of them take 100 MiB."""
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_FINISHED_BYTES=4 << 20)
    broker.register("lucy")
    with broker.line() as line:

        def finish(number: int) -> None:
            ticket_id = line.ask("POST", "/agents/lucy/send", {"payload": number}).json["ticketId"]
            body = {"evidence": NESTED, "watcher": "w"}
            assert line.ask("POST", f"/tickets/{ticket_id}/acknowledge", body).status == 200
            reply = {"ticketId": ticket_id, "payload": NESTED}
            assert line.ask("POST", "/replies", reply).status == 204

        for number in range(20):
            finish(number)
        before = broker.memory_kib()
        for number in range(300):
            finish(number)
        assert broker.memory_kib() - before < 24 * KIB
    assert broker.ask("GET", "/search?limit=1").json["tickets"][0]["response"]["payload"] == NESTED


def test_the_latest_finished_ticket_of_any_size_is_kept(start):
    broker = start(db=":memory:", BRIDGE_FINISHED_BYTES=1)
    ticket_id = broker.send("lucy", timeoutMs=60000)
    with broker.line() as line:
        line.request("GET", f"/replies/{ticket_id}?waitMs=60000")
        broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "x" * 1000})
        assert line.read_answer().json["response"]["payload"] == "x" * 1000


@pytest.fixture
def crowd(start):
    """A broker with 320 agents. All their registrations exceed the bound of one response."""
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0)
    names = [f"agent {number * 7 % 320:03}/é" for number in range(320)]
    with broker.line() as line:
        for name in names:
            body = {
                "agentId": name,
                "type": "odd" if "7" in name else "even",
                "metadata": {"a": "x" * 15_900},
            }
            assert line.ask("POST", "/agents/register", body).status == 200
    return broker, names


def test_the_list_of_agents_comes_in_pages(crowd):
    broker, names = crowd
    path, found, pages = "/agents", [], 0
    while path:
        answer = broker.ask("GET", path)
        assert answer.status == 200 and len(answer.body) <= 4.1 * KIB * KIB
        for agent in answer.json:
            check_agent(agent)
        found += [agent["agentId"] for agent in answer.json]
        pages += 1
        link = answer.field("link") or ""
        path = link[1 : link.index(">")] if link else ""
    assert found == names and pages == 2
    first = broker.ask("GET", "/agents?limit=2&type=odd")
    odd = [name for name in names if "7" in name]
    assert [each["agentId"] for each in first.json] == odd[:2]
    assert "type=odd" in first.field("link") and "limit=2" in first.field("link")
    path = first.field("link")[1:].partition(">")[0]
    broker.ask("DELETE", f"/agents/{quote(first.json[-1]['agentId'], safe='')}")
    assert [each["agentId"] for each in broker.ask("GET", path).json] == odd[2:4], (
        "the last agent of the page was removed meanwhile"
    )
    check_problem(broker.ask("GET", "/agents?limit=0"), 400)


def test_the_command_lists_all_agents(crowd):
    broker, names = crowd
    words = [*package_launcher(), "agents", "--json", "--broker-url", broker.url]
    settings = environment(BRIDGE_ANSWER_MAX=5 * KIB * KIB)  # more than a page, less than all
    ended = subprocess.run(
        words, env=settings, cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    assert [agent["agentId"] for agent in json.loads(ended.stdout)] == names


def test_ten_unread_lists_of_agents_take_little_memory(crowd):
    broker, _ = crowd
    before = broker.memory_kib()
    lines = [broker.line() for _ in range(10)]
    try:
        for line in lines:
            line.request("GET", "/agents")
        wait_until(lambda: broker.ask("GET", "/health").status == 200, "it answers others")
        assert broker.memory_kib() - before < 80 * KIB
    finally:
        for line in lines:
            line.close()


def test_the_bytes_of_all_registrations_are_bounded(start):
    """16 KiB of nested lists take 1 MiB of memory."""
    broker = start(strict=False)
    with broker.line() as line:
        for number in range(200):
            body = {"agentId": f"a{number}", "metadata": {"a": NESTED}}
            answer = line.ask("POST", "/agents/register", body)
            if answer.status != 200:
                break
    problem = check_problem(answer, 429)
    assert "unregister" in problem["detail"] and number > 50
    assert broker.memory_kib() < 150 * KIB
    for again in (True, False):
        check_problem(broker.ask("POST", "/agents/register", body), 429)
        broker.stop() if again else broker.ask("DELETE", "/agents/a0")
        broker.start() if again else None
    assert broker.ask("POST", "/agents/register", body).status == 200
    broker.send("a1")
