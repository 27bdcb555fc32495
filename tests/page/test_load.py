"""The page with 500 agents and 100 tickets a second: no update is lost, the document is small."""

from __future__ import annotations

import json
import time

from page.conftest import open_page
from page.rows import wait_row

AGENTS, RATE, SECONDS = 500, 100, 4
NODES_MAX = 8000


def test_no_update_is_lost_with_many_agents_and_many_tickets(start, tab):
    broker = start(db=":memory:", BRIDGE_RATE_LIMIT=0)
    with broker.line() as line:
        for number in range(AGENTS):
            line.send(post("/agents/register", {"agentId": f"worker-{number:03}"}))
            line.read_answer()
        open_page(tab, broker)
        tab.wait_text("#agents-count", f"{AGENTS} agents")
        tab.evaluate(
            "window.long = 0, new PerformanceObserver((list) => list.getEntries()"
            ".forEach(({ duration }) => (window.long += duration))).observe({type: 'longtask'})"
        )
        began, sent = time.monotonic(), []
        for number in range(RATE * SECONDS):
            line.send(
                post(
                    f"/agents/worker-{number % AGENTS:03}/send",
                    {"payload": f"ticket {number}", "metadata": {"origin": "load"}},
                )
            )
            sent.append(line.read_answer().json["ticketId"])
            line.send(
                post(
                    f"/tickets/{sent[-1]}/acknowledge",
                    {"watcher": "w", "evidence": {"pane": "%1", "form": "agent"}},
                )
            )
            assert line.read_answer().status == 200
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        took = time.monotonic() - began
    tab.wait_text("#foot-events", f"{len(sent) * 3:,} events seen, {len(sent)} tickets")
    for ticket_id in (sent[-1], sent[-100]):
        wait_row(tab, ticket_id, "delivered")
    tab.wait("document.querySelector('#tickets-rows').children.length === 200")
    assert tab.evaluate(
        f"document.querySelector('#tickets-rows a').dataset.ticket === {json.dumps(sent[-1])}"
    )
    tab.wait("document.querySelector('#tiles .value').innerText.startsWith('0')")
    assert tab.evaluate("document.querySelectorAll('*').length") < NODES_MAX
    assert tab.evaluate("document.querySelector('#agents-rows').children.length") == 60
    print(
        f"{len(sent)} tickets in {took:.1f} s;"
        f" {tab.evaluate('window.long'):.0f} ms in tasks of more than 50 ms"
    )
    tab.click("#agents-more")
    tab.wait("document.querySelector('#agents-rows').children.length === 200")


def post(path: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
