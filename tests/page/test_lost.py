"""The broker goes away and comes back: the page says so, and goes on by itself, without a reload."""

from __future__ import annotations

import signal

from running import Broker, package_launcher, wait_until

from page.conftest import open_page, wait_live
from page.rows import wait_row


def test_a_broker_that_is_killed_and_comes_back(tab, tmp_path):
    with Broker(package_launcher(), tmp_path / "bridge.db") as broker:
        open_page(tab, broker)
        tab.evaluate("window.same = true")
        before = broker.send("lucy", "before")
        wait_row(tab, before, "before")
        broker.kill()
        tab.wait(
            "document.querySelector('#connection').dataset.phase === 'lost' && !document.querySelector('#banner').hidden"
        )
        assert "Connection lost" in tab.text("#banner-text") and "lost" in tab.text("#spoken")
        tab.wait("document.title.includes('connection lost')")

        broker.flags = ["--port", str(broker.port)]
        broker.start()
        meanwhile = broker.send("lucy", "while the page was away")
        wait_live(tab)
        tab.wait(
            "document.querySelector('#banner').hidden && document.querySelector('#spoken').textContent === 'Connected again.'"
        )
        wait_row(tab, meanwhile, "while the page was away")
        wait_row(tab, broker.send("lucy", "after"), "after")
        broker.acknowledge(before)
        wait_row(tab, before, "delivered")
        tab.wait("document.title.startsWith('(2)')")

        # Streams switched off: the broker answers 503, for which a browser's EventSource gives up for ever.
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
        assert tab.evaluate("window.same"), "it is the same document"
        tab.forgive("net::ERR_")
        tab.forgive("status of 503")
        tab.go("about:blank")


def test_a_stream_that_falls_silent_is_begun_anew(start, tab):
    """A connection whose other end hangs says nothing any more, not even heartbeats."""
    broker = start(BRIDGE_SSE_HEARTBEAT=200)
    open_page(tab, broker)
    pill = "document.querySelector('#connection')"
    tab.evaluate(
        f"window.phases = [], new MutationObserver(() => window.phases.push({pill}.dataset.phase)).observe({pill}, {{attributes: true}})"
    )
    tab.wait("document.querySelector('#version').textContent")
    broker.signal(signal.SIGSTOP)  # every socket stays open
    try:
        tab.wait("window.phases.length > 0")
    finally:
        broker.signal(signal.SIGCONT)
    wait_live(tab)
    wait_row(tab, broker.send("lucy", "awake"), "awake")


def test_a_page_that_was_left_holds_no_stream_and_lives_again_when_it_is_back(tab, served):
    """A browser keeps a page for "back", with its connections, of which it has six for one broker."""

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
    tab.forgive("favicon.ico")  # which a page without a picture of its own is asked for
