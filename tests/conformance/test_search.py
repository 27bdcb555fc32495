"""GET /search: its filters, its pages, and the bounds of one request."""

from __future__ import annotations

import pytest

from conformance.shapes import check_problem, check_ticket


def search(broker, query=""):
    answer = broker.ask("GET", f"/search{query}")
    assert answer.status == 200, answer
    assert set(answer.json) == {"tickets", "nextBefore"}
    for ticket in answer.json["tickets"]:
        check_ticket(ticket)
    return answer.json


def everything(broker, query):
    """Return the ticket ids of all pages, and the number of pages."""
    found, before, pages = [], "", 0
    while before is not None:
        page = search(broker, f"?{query}{before and f'&before={before}'}")
        found += [ticket["ticketId"] for ticket in page["tickets"]]
        assert page["nextBefore"] is None or not before or page["nextBefore"] < before, (
            "each page must begin before the last one"
        )
        before, pages = page["nextBefore"], pages + 1
    return found, pages


@pytest.fixture(params=["disk", ":memory:"])
def searched(request, start):
    """A broker that searches three tickets per request."""
    return start(db=":memory:" if request.param == ":memory:" else None, BRIDGE_SEARCH_ROWS=3)


def test_a_search_finds_by_every_filter(searched):
    broker = searched
    one = broker.send("ann", "Grüße, WELT", metadata={"origin": "bob", "threadId": "T"})
    two = broker.send("ann", {"text": 'she said "hi"\n'})
    three = broker.send("bob", ["pending"])
    broker.acknowledge(two)
    broker.ask("POST", "/replies", {"ticketId": one, "payload": "the ANSWER"})
    wanted = {
        "": [three, two, one],
        "agent=ann": [two, one],
        "origin=bob": [one],
        "thread=T": [one],
        "status=delivered": [two],
        "status=responded&agent=ann": [one],
        "q=GR%C3%9CSSE,": [one],
        "q=gr%C3%9C%C3%9Fe,%20welt": [one],
        "q=answer": [one],
        "q=said%20%22hi%22": [two],
        "q=%22text%22:": [two],
        f"q={two.upper()}": [two],
        "q=hi%22%0A": [two],
        "q=nowhere": [],
        "agent=nobody": [],
        "q=pending": [three],
        "thread=": [],
    }
    for query, ids in wanted.items():
        assert everything(broker, query)[0] == ids, query


def test_a_search_continues_where_it_stopped(searched):
    broker = searched
    ids = [broker.send("ann", {"number": number}) for number in range(10)]
    for ticket in ids[::2]:
        broker.acknowledge(ticket)
    found, pages = everything(broker, "limit=2")
    assert found == ids[::-1] and pages >= 5
    found, pages = everything(broker, "q=%22number%22:0")
    assert found == ids[:1] and pages >= 4, "three rows per request, even without a match"
    assert search(broker, "?before=0") == {"tickets": [], "nextBefore": None}
    assert [
        ticket["ticketId"] for ticket in search(broker, f"?before={2**53 - 1}&limit=1")["tickets"]
    ] == ids[-1:]


def test_a_search_reads_a_bounded_number_of_bytes(start):
    broker = start(BRIDGE_SEARCH_BYTES=5000)
    ids = [broker.send("ann", "x" * 4000) for _ in range(5)]
    found, pages = everything(broker, "limit=200")
    assert found == ids[::-1] and pages >= 3


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "before=-1", "before=x", "status=lost", "q=" + "x" * 1001, "q=a&q=b"],
)
def test_a_bad_query_is_400(broker, query):
    check_problem(broker.ask("GET", "/search?" + query), 400)
