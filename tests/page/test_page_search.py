"""Search, filters and addresses of the page in a real browser.

    #search/TEXT    the tickets that contain a text
    #agent/ID       the tickets of one agent
    #ticket/ID      the story of one ticket

The page keeps its state in the fragment of its address, so that a link opens the same view.
"""

from __future__ import annotations

import json

from running import new_name

from page.conftest import open_page
from page.rows import wait_row


def test_a_search_finds_filters_and_updates_tickets(page, served):
    agent = new_name()
    wanted = [served.send(agent, f"needle number {number}") for number in range(3)]
    served.send(agent, "hay")
    page.press("/")
    page.write("NEEDLE")
    found = (
        "[...document.querySelectorAll('#tickets-rows a')]"
        ".map((node) => node.dataset.ticket).join()"
    )
    page.wait(f"{found} === {json.dumps(','.join(reversed(wanted)))}")
    assert page.evaluate("location.hash") == "#search/NEEDLE" and "3 found" in page.text(
        "#tickets-count"
    )
    served.acknowledge(wanted[0])
    wait_row(page, wanted[0], "delivered")
    served.send(new_name(), "a newer needle")
    page.wait_text("#tickets-newer", "1 new: search again")
    page.click("#tickets-newer")
    page.wait("document.querySelectorAll('#tickets-rows a').length === 4")
    page.evaluate(
        "document.querySelector('#tickets-status').value = 'delivered',"
        " document.querySelector('#tickets-status').dispatchEvent(new Event('change'))"
    )
    page.wait(f"{found} === {json.dumps(wanted[0])}")
    page.evaluate("document.querySelector('#query').select()")
    page.press("/")
    page.write("no such text anywhere")
    page.wait_text("#tickets-empty", "Nothing found")
    page.click("#tickets-empty button")
    page.wait_text("#tickets-count", "live")
    assert (
        page.evaluate("location.hash") == ""
        and page.evaluate("document.querySelector('#query').value") == ""
    )


def test_an_agents_address_shows_only_its_own_tickets(page, served):
    agent, other = new_name(), new_name()
    mine = served.send(agent, "mine")
    wait_row(page, served.send(other, "not mine"), "not mine")
    page.evaluate(f"location.hash = '#agent/{agent}'")
    page.wait(
        "[...document.querySelectorAll('#tickets-rows a')]"
        f".map((node) => node.dataset.ticket).join() === {json.dumps(mine)}"
    )
    page.click("#tickets-chips .chip:nth-child(2)")
    page.wait(f"document.querySelector('#send-agent').value === {json.dumps(agent)}")


def test_an_address_opens_its_ticket_and_an_unknown_ticket_is_reported(tab, served):
    ticket_id = served.send(new_name(), "linked")
    open_page(tab, served, f"#ticket/{ticket_id}")
    tab.wait_text("#story-message", "linked")
    tab.evaluate("location.hash = '#ticket/no-such-ticket'")
    tab.wait_text("#story-problem", "No such ticket")
    tab.forgive("status of 404")
