"""The page in a real browser, used as by a person: reading, keys, sending, replying, charts."""

from __future__ import annotations

import json
import sys

from running import Broker, new_name, wait_until

from page.conftest import open_page
from page.rows import row, wait_row


def test_the_page_of_an_empty_broker_shows_how_to_begin(start, tab):
    broker = start(db=":memory:")
    open_page(tab, broker)
    tab.wait_text("#welcome", "python3 -m bridge watch lucy dev-lucy 0")
    assert not tab.evaluate("document.querySelector('#agents').offsetHeight")
    broker.send("lucy", "the first one")
    tab.wait(
        "document.querySelector('#welcome').hidden"
        " && document.querySelector('#agents').offsetHeight > 0"
    )


def test_a_ticket_is_shown_at_once_and_its_row_is_updated_in_place(page, served):
    agent = new_name()
    ticket_id = served.send(agent, "run the tests", metadata={"origin": "planner"})
    wait_row(page, ticket_id, "run the tests")
    assert (
        page.evaluate(f"{row(ticket_id)}.innerText")
        .replace("\n", " ")
        .startswith(f"planner → {agent}")
    )
    page.evaluate(f"window.node = {row(ticket_id)}")
    for act, label in [
        (lambda: served.pending(agent), "on its way"),
        (
            lambda: served.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"}),
            "being typed",
        ),
        (lambda: served.acknowledge(ticket_id), "delivered"),
        (
            lambda: served.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "done"}),
            "replied",
        ),
    ]:
        act()
        wait_row(page, ticket_id, label)
    assert page.evaluate(f"window.node === {row(ticket_id)}"), "the row was replaced"


def test_agents_show_presence_tier_health_backlog_and_why_they_wait(page, served):
    agent = new_name()
    served.register(agent, metadata={"session": "dev", "paneId": "%7"})
    line = (
        "[...document.querySelectorAll('#agents-rows tr')].find((row) =>"
        f" row.querySelector('a').textContent === {json.dumps(agent)})?.innerText ?? ''"
    )
    page.evaluate(
        f"document.querySelector('#agents-filter').value = {json.dumps(agent)},"
        " document.querySelector('#agents-filter').dispatchEvent(new Event('input'))"
    )
    page.wait(f"({line}).includes('not connected') && ({line}).includes('dev %7')")
    with served.agent_stream(agent) as stream:
        stream.read_block()
        page.wait(f"({line}).includes('● online') && ({line}).includes('stream')")
        served.send(agent, 1), served.send(agent, 2)
        page.wait(f"/(^|\\s)2\\s/.test({line})")
        waiting = {
            "ticketId": None,
            "reason": "the pane is at a password prompt",
            "sinceAt": "2026-01-01T00:00:00.000Z",
        }
        served.ask("POST", f"/agents/{agent}/heartbeat", {"health": "busy", "waiting": waiting})
        page.wait(f"({line}).includes('busy') && ({line}).includes('at a password prompt')")
        served.ask("POST", f"/agents/{agent}/heartbeat", {"health": "lost"})
        page.wait(f"({line}).includes('lost') && !({line}).includes('password')")
    page.wait(f"({line}).includes('not connected')")


def test_a_ticket_can_be_read_by_keyboard_alone(page, served):
    agent = new_name()
    ticket_id = served.send(
        agent, "look at the log\nand tell", metadata={"origin": "planner", "threadId": "th-1"}
    )
    wait_row(page, ticket_id, "look at the log")
    page.press("j")
    page.wait(f"document.activeElement === {row(ticket_id)}")
    page.press("Enter")
    page.wait(
        "document.querySelector('#story').open"
        " && document.querySelectorAll('#story-stages li').length === 1"
    )
    assert page.evaluate("location.hash") == f"#ticket/{ticket_id}"
    assert (
        page.text("#story-title") == f"planner → {agent}"
        and page.text("#story-message") == "look at the log\nand tell"
    )
    assert "nobody watches" in page.text("#story-now") and "th-1" in page.text("#story-details")
    served.pending(agent)
    evidence = {
        "pane": "%7",
        "form": "agent",
        "submittedAt": "2026-01-01T00:00:00.000Z",
        "verified": True,
    }
    served.acknowledge(ticket_id, {"watcher": "lucy@host", "evidence": evidence})
    page.wait(
        "[...document.querySelectorAll('#story-stages b')].map((node) => node.innerText).join()"
        " === 'accepted,streamed,injected,acknowledged'"
    )
    shown = page.text("#story-stages")
    assert "lucy@host" in shown and "%7" in shown
    assert shown.count("seen on the screen") == 1, "the same evidence is shown twice"
    page.wait_text("#story-now", "Delivered")
    assert (
        served.ask(
            "POST", f"/tickets/{ticket_id}/shown", {"pane": "%7", "tty": "/dev/pts/9"}
        ).status
        == 200
    )
    page.wait_text("#story-now", "Delivered, shown in pane %7 ")
    assert "a terminal has its text" in page.text("#story-stages") and "/dev/pts/9" in page.text(
        "#story-stages"
    )
    page.press("Escape")
    page.wait(
        "!document.querySelector('#story').open"
        f" && document.activeElement === {row(ticket_id)} && location.hash === ''"
    )


def test_the_list_does_not_move_while_it_has_the_focus_or_is_paused(page, served):
    first = served.send(new_name(), "first")
    wait_row(page, first, "first")
    page.press("j")
    page.wait("document.querySelector('#tickets-rows').contains(document.activeElement)")
    top = page.evaluate("document.querySelector('#tickets-rows a').dataset.ticket")
    second = served.send(new_name(), "second")
    page.wait_text("#tickets-newer", "1 new")
    assert page.evaluate("document.querySelector('#tickets-rows a').dataset.ticket") == top
    page.click("#tickets-newer")
    page.wait(f"document.querySelector('#tickets-rows a').dataset.ticket === {json.dumps(second)}")
    page.press("p")
    page.wait_text("#tickets-count", "paused")
    third = served.send(new_name(), "third")
    page.wait_text("#tickets-newer", "1 new")
    page.press("p")
    page.wait(f"document.querySelector('#tickets-rows a').dataset.ticket === {json.dumps(third)}")


def test_a_ticket_can_be_sent_and_replied_to_in_the_page(page, served):
    sender, agent = new_name(), new_name()
    served.register(sender), served.register(agent)
    page.press("s")
    page.wait("document.querySelector('#send').open && document.activeElement.id === 'send-agent'")
    page.write(agent)
    page.press("Tab")
    page.wait("document.activeElement.id === 'send-text'")
    page.write("please review\nthe change")
    page.evaluate(f"document.querySelector('#send-origin').value = {json.dumps(sender)}")
    page.press("Enter", 2)
    page.wait("!document.querySelector('#send').open")
    (ticket,) = served.pending(agent)
    assert (
        ticket["payload"] == "please review\nthe change"
        and ticket["originAgent"] == sender
        and ticket["expectReply"]
    )
    page.click(".toast button")
    page.wait_text("#story-message", "please review")
    page.click("#reply-text")
    page.write("<b>looks good</b>")
    page.click("#reply [type=submit]")
    page.wait_text("#story-response", "<b>looks good</b>")
    page.wait_text("#story-now", "Replied after")
    assert served.ticket(ticket["ticketId"])["response"]["payload"] == "<b>looks good</b>"
    (answer,) = served.pending(sender)
    # The reply is a ticket for the sender. A second reply is not possible.
    assert answer["metadata"]["replyTo"] == ticket["ticketId"]
    assert page.evaluate("document.querySelector('#reply').hidden")


def test_an_unknown_name_and_dropped_tickets_are_reported(start, tab):
    broker = start(db=":memory:")
    broker.register("lucy")
    open_page(tab, broker)
    for name, words in (
        ("lcuy", "nothing is registered as lcuy"),
        ("lucy", "Accepted, and on disk."),
    ):
        tab.wait("!document.querySelector('#send').open")  # the previous dialog has closed
        tab.press("s")
        tab.wait("document.querySelector('#send').open")
        tab.evaluate(f"document.querySelector('#send-agent').value = {json.dumps(name)}")
        tab.evaluate("document.querySelector('#send-text').focus()")
        tab.write("hello")
        tab.press("Enter", 2)
        tab.wait_text("#toasts .toast:last-child", words)
    assert broker.ask("DELETE", "/agents/lcuy/tickets/pending").json["dropped"] == 1
    tab.wait_text("#tiles", "0 expired, 1 dropped")


def test_a_refusal_is_shown_and_keeps_the_written_text(start, tab):
    broker = start(db=":memory:", BRIDGE_QUEUE_MAX=1)
    broker.send("full", 1)
    open_page(tab, broker)
    tab.press("s")
    tab.write("full")
    tab.press("Tab")
    tab.write("one more")
    tab.press("Enter", 2)
    tab.wait_text("#send-problem", "try again in")
    assert tab.evaluate(
        "document.querySelector('#send-text').value"
    ) == "one more" and tab.evaluate("document.querySelector('#send').open")
    broker.acknowledge(broker.pending("full")[0]["ticketId"])
    tab.press("Enter", 2)
    tab.wait("!document.querySelector('#send').open")
    assert [ticket["payload"] for ticket in broker.pending("full")] == ["one more"]
    tab.forgive("status of 429")


def test_a_lost_answer_makes_no_second_ticket(page, served):
    agent = new_name()
    page.press("s")
    page.write(agent)
    page.press("Tab")
    page.write("only once")
    with page.losing_answers("/send"):
        page.press("Enter", 2)
        page.wait_text("#send-problem", "does not answer")
    assert len(served.pending(agent)) == 1, "the first request did not arrive"
    page.press("Enter", 2)
    page.wait("!document.querySelector('#send').open")
    assert [ticket["payload"] for ticket in served.pending(agent)] == ["only once"]
    page.forgive("ERR_CONNECTION_RESET")


def test_charts_are_drawn_and_can_be_read_by_key_and_by_a_screen_reader(page, served):
    agent = new_name()

    def is_labelled():  # the label is of the last second only, so send until it has a ticket
        served.acknowledge(served.send(agent, 1))
        return page.evaluate(
            "/accepted [1-9]/.test(document.querySelector('#throughput .plot')"
            ".getAttribute('aria-label') ?? '')"
        )

    wait_until(is_labelled, "accepted tickets in the chart's label")
    pixels = (
        "(id) => { const canvas = document.querySelector(`${id} canvas`), data = canvas"
        ".getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; let seen = 0;"
        " for (let at = 0; at < data.length; at += 4)"
        " seen += data[at + 2] > 150 && data[at] < 90; return seen }"
    )
    page.prefer(color_scheme="light")
    page.wait(f"['#throughput', '#latency'].every((id) => ({pixels})(id) > 3)")
    page.evaluate("document.querySelector('#latency .plot').focus()")
    page.press("ArrowLeft")
    page.wait(
        "/^[0-9]{2}:[0-9]{2}:[0-9]{2}$/.test(document.querySelector('#latency .when').textContent)"
    )
    page.wait("document.querySelector('#latency .plot').getAttribute('aria-label').includes('p99')")


def test_the_page_works_from_the_one_file_program(tab, program, tmp_path):
    with Broker(
        [sys.executable, "-X", "dev", "-W", "error", program],
        ":memory:",
        cwd=str(tmp_path),
        PYTHONPATH="",
    ) as broker:
        open_page(tab, broker)
        wait_row(tab, broker.send("lucy", "from the archive"), "from the archive")
        tab.go("about:blank")


def test_another_sites_page_cannot_send(chromium, served):
    """A request of a real browser from another origin arrives, and is refused for its Origin."""
    agent = new_name()
    before = served.metrics().get('bridge_http_responses_total{code="403"}', 0)
    with chromium.tab() as elsewhere:
        post = (
            f"fetch('{served.url}/agents/{agent}/send', {{method: 'POST', mode: 'no-cors',"
            " body: JSON.stringify({payload: 'forged'})}).then(() => 'sent', String)"
        )
        elsewhere.evaluate(post)
    wait_until(
        lambda: served.metrics().get('bridge_http_responses_total{code="403"}', 0) == before + 1,
        "the refusal",
    )
    assert served.pending(agent) == []
