"""A search reads a bounded number of bytes. Long responses do not delay other connections."""

from __future__ import annotations

import pytest
from raw_http import request_bytes

from hardening.test_pipelining import OK, ROUNDS, in_one_turn, sample


def pages_of(broker, query: str) -> list[bytes]:
    """Return the bodies of all pages of a search."""
    bodies, before = [], ""
    while before is not None:
        answer = broker.ask("GET", f"/search?{query}{before}")
        assert answer.status == 200
        bodies.append(answer.body)
        following = answer.json["nextBefore"]
        before = None if following is None else f"&before={following}"
    return bodies


def test_the_bytes_of_evidence_count_though_it_is_not_searched(start):
    broker = start(BRIDGE_SEARCH_BYTES=5000)
    for number in range(5):
        broker.acknowledge(
            broker.send("ann", number), {"watcher": "w", "evidence": {"text": "x" * 4000}}
        )
    assert len(pages_of(broker, "q=nowhere")) >= 3


@pytest.mark.parametrize("db", [None, ":memory:"])
def test_the_bytes_of_replies_count_and_bound_the_response(start, db):
    broker = start(db=db, BRIDGE_SEARCH_BYTES=5000)
    for number in range(5):
        answer = broker.ask(
            "POST", "/replies", {"ticketId": broker.send("ann", number), "payload": "x" * 4000}
        )
        assert answer.status == 204
    pages = pages_of(broker, "limit=200")
    assert len(pages) >= 3 and max(map(len, pages)) < 2 * 5000


def test_a_long_search_does_not_delay_others(start):
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_SEARCH_BYTES=64 << 20)
    with broker.line() as greedy, broker.line() as other:
        for _ in range(10):
            greedy.send(
                request_bytes("POST", "/agents/a/send", {"payload": "x" * 500}, port=broker.port)
                * 100
            )
            assert {greedy.read_answer().status for _ in range(100)} == {202}
        search = request_bytes("GET", "/search?q=nowhere", port=broker.port)
        # With a large body the request waits in the same queue as the parts of the search.
        ask = request_bytes("GET", "/metrics", b"x" * 40_000, port=broker.port)
        for _ in range(ROUNDS):
            before = sample(other.ask("GET", "/metrics").body, OK)
            in_one_turn(broker, (greedy, search), (other, ask))
            answered = sample(other.read_answer().body, OK)
            assert answered == before + 1, "the other request waited for the search"
            assert greedy.read_answer().json == {"tickets": [], "nextBefore": None}


@pytest.mark.parametrize("path", ["/agents", "/overview"])
def test_a_long_list_of_agents_does_not_delay_others(start, path):
    broker = start(db=":memory:")
    with broker.line() as greedy, broker.line() as other:
        for first in range(0, 600, 100):
            register = [
                request_bytes(
                    "POST", "/agents/register", {"agentId": f"agent-{number}"}, port=broker.port
                )
                for number in range(first, first + 100)
            ]
            greedy.send(b"".join(register))
            assert {greedy.read_answer().status for _ in range(100)} == {200}
        ask = request_bytes("GET", "/metrics", b"x" * 40_000, port=broker.port)
        for _ in range(ROUNDS):
            before = sample(other.ask("GET", "/metrics").body, OK)
            in_one_turn(
                broker, (greedy, request_bytes("GET", path, port=broker.port)), (other, ask)
            )
            answered = sample(other.read_answer().body, OK)
            assert answered == before + 1, "the other request waited for the list"
            found = greedy.read_answer().json
            assert len(found if path == "/agents" else found["agents"]) == 600
