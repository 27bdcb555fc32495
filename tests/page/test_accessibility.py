"""Accessibility of the page: themes, contrast, the accessibility tree, single keys."""

from __future__ import annotations

import json

from running import new_name

from page.conftest import wait_live
from page.contrast import CONTRAST
from page.rows import wait_row


def test_the_theme_follows_the_system_until_a_choice_is_made(page):
    theme = "document.documentElement.dataset.theme"
    for preferred in ("dark", "light"):
        page.prefer(color_scheme=preferred)
        page.wait(f"{theme} === {json.dumps(preferred)}")
    seen = []
    for choice in ("light", "dark"):
        page.press("t")
        page.wait(f"document.documentElement.dataset.choice === {json.dumps(choice)}")
        page.wait(f"{theme} === {json.dumps(choice)}")
        seen.append(page.evaluate("getComputedStyle(document.body).color"))
    assert len(set(seen)) == 2
    page.call("Page.reload")
    page.wait(f"document.readyState === 'complete' && {theme} === 'dark'")
    wait_live(page)
    page.click("#theme")
    page.wait("document.documentElement.dataset.choice === 'automatic'")


def test_every_text_has_enough_contrast_in_both_themes(page, served):
    """WCAG 1.4.3 AA for rows of every kind, a ticket's story, the send box and the help."""
    agents = [new_name() for _ in range(4)]
    for agent, health in zip(agents, ("healthy", "busy", "lost", None)):
        served.register(agent)
        served.ask(
            "POST",
            f"/agents/{agent}/heartbeat",
            {
                "health": health,
                "waiting": {
                    "ticketId": None,
                    "reason": "a dialog",
                    "sinceAt": "2026-01-01T00:00:00Z",
                },
            },
        )
    tickets = [served.send(agent, "text") for agent in agents]
    served.pending(agents[1]), served.acknowledge(tickets[2])
    wait_row(page, tickets[2], "delivered")
    for scheme in ("light", "dark"):
        page.prefer(color_scheme=scheme, reduced_motion="reduce")
        page.wait(f"document.documentElement.dataset.theme === {json.dumps(scheme)}")
        for opened in ("", "story", "send", "help"):
            if opened:
                page.evaluate(f"document.getElementById({json.dumps(opened)}).showModal()")
            assert page.evaluate(CONTRAST) == [], f"{scheme} {opened}"
            if opened:
                page.evaluate(f"document.getElementById({json.dumps(opened)}).close()")


def test_the_accessibility_tree_has_landmarks_headers_and_names(page, served):
    """It has the landmarks, a table with its headers, and a name for every control."""
    wait_row(page, served.send(new_name(), "heard"), "heard")
    page.wait("document.querySelectorAll('#agents-rows tr').length")
    nodes = [
        node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]
    ]
    roles = [node["role"]["value"] for node in nodes]
    assert {
        "banner",
        "main",
        "search",
        "contentinfo",
        "table",
        "columnheader",
        "rowheader",
        "status",
    } <= set(roles), sorted(set(roles))
    used = (
        "button",
        "link",
        "textbox",
        "searchbox",
        "combobox",
        "checkbox",
        "table",
        "region",
        "list",
    )
    nameless = [
        node["role"]["value"]
        for node in nodes
        if node["role"]["value"] in used and not node.get("name", {}).get("value")
    ]
    assert not nameless
    page.resize(400, 800)
    page.wait("document.documentElement.clientWidth === 400")
    assert "rowheader" in [
        node["role"]["value"]
        for node in page.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ], "the table is lost at a phone's width"


def test_single_keys_can_be_switched_off(page):
    page.press("?")
    page.wait("document.querySelector('#help').open")
    page.press("s")
    # No key works while a dialog is open.
    assert not page.evaluate("document.querySelector('#send').open")
    page.click("#keys-on")
    page.press("Escape")
    page.wait("!document.querySelector('#help').open")
    page.press("s")
    assert not page.evaluate("document.querySelector('#send').open")
    page.evaluate("localStorage.removeItem('bridge.keys')")
