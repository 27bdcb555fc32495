"""The broker goes away and comes back: the page reports it, and recovers without a reload."""

from __future__ import annotations

import signal

from running import Broker, package_launcher, wait_until

from page.conftest import open_page, wait_live
from page.rows import wait_row


def test_the_page_recovers_after_the_broker_was_killed(tab, tmp_path):
    with Broker(package_launcher(), tmp_path / "bridge.db") as broker:
        open_page(tab, broker)
        tab.evaluate("window.same = true")
        before = broker.send("lucy", "before")
        wait_row(tab, before, "before")
        broker.kill()
        tab.wait(
            "document.querySelector('#connection').dataset.phase === 'lost'"
            " && !document.querySelector('#banner').hidden"
        )
        assert "Connection lost" in tab.text("#banner-text") and "lost" in tab.text("#spoken")
        tab.wait("document.title.includes('connection lost')")

        broker.flags = ["--port", str(broker.port)]
        broker.start()
        meanwhile = broker.send("lucy", "while the page was away")
        wait_live(tab)
        tab.wait(
            "document.querySelector('#banner').hidden"
            " && document.querySelector('#spoken').textContent === 'Connected again.'"
        )
        wait_row(tab, meanwhile, "while the page was away")
        wait_row(tab, broker.send("lucy", "after"), "after")
        broker.acknowledge(before)
        wait_row(tab, before, "delivered")
        tab.wait("document.title.startsWith('(2)')")

        # With streams switched off the broker answers 503. An EventSource does not retry after it.
        broker.kill()
        broker.settings["DISABLE_SSE"] = 1
        broker.start()
        tab.wait("document.querySelector('#connection').dataset.phase === 'refreshing'")
        wait_row(tab, broker.send("lucy", "without a stream"), "without a stream")

        broker.kill()
        del broker.settings["DISABLE_SSE"]
        broker.start()
        wait_live(tab)
        wait_row(tab, broker.send("lucy", "live again"), "live again")
        assert tab.evaluate("window.same"), "the page was loaded again"
        tab.forgive("net::ERR_")
        tab.forgive("status of 503")
        tab.go("about:blank")


def test_a_stream_without_heartbeats_is_opened_again(start, tab):
    """A connection to a broker that hangs sends no bytes, not even heartbeats."""
    broker = start(BRIDGE_SSE_HEARTBEAT=200)
    open_page(tab, broker)
    pill = "document.querySelector('#connection')"
    tab.evaluate(
        f"window.phases = [], new MutationObserver(() => window.phases.push({pill}.dataset.phase))"
        f".observe({pill}, {{attributes: true}})"
    )
    tab.wait("document.querySelector('#version').textContent")
    broker.signal(signal.SIGSTOP)  # all sockets stay open
    try:
        tab.wait("window.phases.length > 0")
    finally:
        broker.signal(signal.SIGCONT)
    wait_live(tab)
    wait_row(tab, broker.send("lucy", "awake"), "awake")


def test_a_page_in_the_back_forward_cache_has_no_stream_and_recovers_when_it_is_shown(tab, served):
    """A cached page could keep its stream, and a browser opens only six connections to a host."""

    def active():
        return served.ask("GET", "/debug/connections").json["sse"]["active"]

    wait_until(lambda: active() == 0, "no stream of an earlier tab")
    open_page(tab, served)
    assert active() == 1
    tab.go(served.url + "/health")
    wait_until(lambda: active() == 0, "the end of its stream")
    tab.evaluate("history.back()")
    tab.wait("document.querySelector('#connection') !== null")
    wait_live(tab)
    wait_row(tab, served.send("lucy", "back"), "back")
    tab.forgive("favicon.ico")  # the browser requests it for a page without an icon
