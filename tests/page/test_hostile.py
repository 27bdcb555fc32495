"""Hostile texts and names in the page: none of them runs a script, loads a file or breaks the page.

The page shows only text that other programs chose.
"""

from __future__ import annotations

import json

import pytest
from raw_http import Answer
from running import Broker, package_launcher

from page.conftest import open_page, wait_live
from page.rows import row, wait_row

MARK = "window.marked = true"
TEXTS = {
    "script": f"<script>{MARK}</script>",
    "image": f"<img src=x onerror='{MARK}'>",
    "svg": f"<svg onload='{MARK}'><style>*{{display:none}}</style>",
    "frame": f'</pre></dialog><iframe srcdoc="<script>parent.{MARK}</script>">',
    "attribute": f'" autofocus onfocus="{MARK}" x=\'" `onclick={MARK}`',
    "address": f"javascript:{MARK}",
    "template": f"${{{MARK}}} {{{{constructor.constructor('{MARK}')()}}}}",
    "bidi": "\u202egnp.exe\u2066\u2067\u2068\u200b\u200e\ufeff\u00ad\U000e0041 abc",
    "controls": "\x1b]0;title\x07\x00\x08\x7f\x85\u2028\u2029end",
    "surrogate": "\ud800 alone \udfff",
    "long line": "w" * 100_000,
    "many lines": "line\n" * 20_000,
    "combining": "Z" + "\u0300\u0316\u0489" * 400,
    "empty": "",
    "proto": '{"__proto__": {"polluted": 1}}',
}
NAMES = [
    "<script>window.marked=true</script>",
    "<img src=x onerror=window.marked=true>",
    "javascript:window.marked=true",
    "\u202eevil\u2066",
    "w" * 128,
    "a/b?c#d%2e&e=f",
    "%00%0a",
    "\"'><b>",
    "__proto__",
    "constructor",
    "toString",
    "a b",
    "\u202a",
    "é🙂 z",
]


def percent(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


def send(broker, name: str, payload, **fields) -> str:
    answer: Answer = broker.ask(
        "POST", f"/agents/{percent(name)}/send", {"payload": payload, **fields}
    )
    assert answer.status == 202, answer
    return answer.json["ticketId"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A broker that has only hostile names and texts, before a page is opened."""
    with Broker(package_launcher(), ":memory:", BRIDGE_RATE_LIMIT=0) as broker:
        broker.tickets = {}
        for index, (kind, text) in enumerate(TEXTS.items()):
            name = NAMES[index % len(NAMES)]
            metadata = {
                "origin": NAMES[-1 - index % len(NAMES)],
                "threadId": text[:500],
                text[:50] or "k": text[:3000],
                "onclick": MARK,
                "replyTo": f"javascript:{MARK}",
            }
            broker.tickets[kind] = send(broker, name, text, metadata=metadata)
        broker.tickets["nested"] = send(
            broker, NAMES[0], {"a": [TEXTS["image"], {TEXTS["script"]: None}]}
        )
        own_id = "<b onclick=window.marked=true>\u202e'\""
        broker.tickets["own id"] = send(broker, NAMES[1], "x", ticketId=own_id)
        evidence = {
            TEXTS["image"]: TEXTS["script"],
            "pane": TEXTS["long line"],
            "href": f"javascript:{MARK}",
        }
        broker.ask(
            "POST",
            f"/tickets/{percent(own_id)}/acknowledge",
            {"watcher": NAMES[0], "evidence": evidence},
        )
        broker.ask("POST", "/replies", {"ticketId": own_id, "payload": TEXTS["frame"]})
        for name in NAMES:
            broker.register(
                name,
                type=TEXTS["image"],
                metadata={"session": TEXTS["script"], "paneId": TEXTS["bidi"]},
            )
            report = {
                "health": "busy",
                "session": TEXTS["image"],
                "pane": TEXTS["bidi"],
                "waiting": {
                    "ticketId": own_id,
                    "reason": TEXTS["script"] + "w" * 300,
                    "sinceAt": "2026-01-01T00:00:00.000Z",
                },
            }
            assert broker.ask("POST", f"/agents/{percent(name)}/heartbeat", report).status == 200
        yield broker


FORBIDDEN_NODES = "iframe, object, embed, base, meta[http-equiv], style"
HANDLERS = (
    "[...document.querySelectorAll('*')].filter((node) => [...node.attributes]"
    ".some(({ name }) => name.startsWith('on') && name !== 'on')).length"
)
LINKS_STAY = (
    "[...document.querySelectorAll('a')]"
    ".every((node) => new URL(node.href).origin === location.origin)"
)
RESOURCES_STAY = (
    "performance.getEntriesByType('resource')"
    ".every((entry) => new URL(entry.name).origin === location.origin)"
)
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
ROW_HEIGHTS = (
    "[...new Set([...document.querySelectorAll('#tickets-rows a')]"
    ".map((node) => node.offsetHeight))]"
)


def check_unharmed(tab) -> None:
    tab.evaluate("0")
    assert not tab.problems, tab.problems
    assert tab.evaluate("typeof window.marked") == "undefined"
    assert tab.evaluate("({}).polluted === undefined")
    assert tab.evaluate(f"document.querySelectorAll('{FORBIDDEN_NODES}').length") == 0
    sources = "[...document.{}].map((node) => node.getAttribute('src')).join()"
    assert tab.evaluate(sources.format("scripts")) == "web/theme.js,web/main.js"
    assert tab.evaluate(sources.format("images")) == "web/icon.svg"
    assert tab.evaluate(HANDLERS) == 0
    assert tab.evaluate(LINKS_STAY)
    assert tab.evaluate(RESOURCES_STAY)
    wide = tab.evaluate(WIDTHS)
    assert wide[0] <= wide[1], "an element is wider than the page"
    assert len(tab.evaluate(ROW_HEIGHTS)) < 2, "rows of the list have different heights"


@pytest.mark.parametrize("width", [1280, 400])
def test_stored_texts_and_names_are_shown_as_visible_text(tab, hostile, width):
    tab.resize(width, 900)
    open_page(tab, hostile)
    tab.wait(f"document.querySelectorAll('#tickets-rows a').length >= {len(hostile.tickets)}")
    tab.wait(f"document.querySelectorAll('#agents-rows tr').length === {len(NAMES)}")
    check_unharmed(tab)
    shown = tab.text("#agents-rows")
    # Markup is shown as text, and invisible characters as escapes.
    assert "<script>window.marked=true</script>" in shown
    assert "\\u{202e}evil\\u{2066}" in shown and "\u202e" not in shown


def test_the_story_of_each_hostile_ticket_is_shown_as_text(tab, hostile):
    open_page(tab, hostile)
    for kind, ticket_id in hostile.tickets.items():
        tab.evaluate(f"location.hash = '#ticket/' + encodeURIComponent({json.dumps(ticket_id)})")
        tab.wait(
            "document.querySelector('#story').open"
            " && document.querySelectorAll('#story-stages li').length"
            " && document.querySelector('#story-id').textContent.length"
        )
        tab.wait(
            "document.querySelector('#story-details').textContent.includes('Sequence')"
            " && history.length && document.querySelector('#story-title').textContent !== '…'"
        )
        shown = tab.evaluate("document.querySelector('#story-message').textContent")
        if kind in ("script", "image", "svg", "frame", "attribute", "address", "template"):
            assert shown == TEXTS[kind]
        assert not any(
            0x202A <= ord(mark) <= 0x202E or 0x2066 <= ord(mark) <= 0x2069 for mark in shown
        ), kind
        assert len(shown) <= 30_000, "a long text is not cut before a click"
        check_unharmed(tab)
    long_line = json.dumps(hostile.tickets["long line"])
    tab.evaluate(f"location.hash = '#ticket/' + encodeURIComponent({long_line})")
    tab.wait("!document.querySelector('#story-all').hidden")
    tab.click("#story-all")
    tab.wait("document.querySelector('#story-message').textContent.length === 100000")
    check_unharmed(tab)


def test_a_story_with_a_lone_surrogate_does_not_show_another_ticket(tab, hostile):
    """encodeURIComponent() throws for a lone surrogate, so drawing once stopped half-way."""
    before = send(hostile, "drawn", "the one opened before")
    half = send(hostile, "drawn", "the one with half", metadata={"replyTo": "\ud800"})
    evidence = {"constructor": "one", "toString": "two", "__proto__": "three"}
    hostile.acknowledge(half, {"watcher": "w", "evidence": evidence})
    open_page(tab, hostile)
    for ticket_id, text in ((before, "the one opened before"), (half, "the one with half")):
        tab.evaluate(f"location.hash = '#ticket/{ticket_id}'")
        tab.wait(f"document.querySelector('#story-id').textContent === '{ticket_id}'")
        tab.wait("document.querySelector('#story-title').textContent !== '…'")
        assert tab.evaluate("document.querySelector('#story-message').textContent") == text
        assert tab.evaluate("document.querySelector('#story-problem').hidden")
    shown = tab.text("#story-stages")
    assert "native code" not in shown and "constructor" in shown
    check_unharmed(tab)


def test_texts_that_arrive_by_the_stream_are_shown_as_text(tab, hostile):
    open_page(tab, hostile)
    for index, text in enumerate(TEXTS.values()):
        ticket_id = send(hostile, NAMES[index % len(NAMES)], text, metadata={"origin": NAMES[-1]})
    wait_row(tab, ticket_id, "")
    tab.wait(f"{row(ticket_id)} !== null")
    hostile.ask("POST", "/replies", {"ticketId": ticket_id, "payload": TEXTS["script"]})
    wait_row(tab, ticket_id, "replied")
    for name in NAMES:
        tab.evaluate(f"location.hash = '#agent/' + encodeURIComponent({json.dumps(name)})")
        tab.wait("document.querySelector('#tickets-count').textContent.endsWith('found')")
        check_unharmed(tab)
    tab.evaluate(f"location.hash = '#search/' + encodeURIComponent({json.dumps(TEXTS['image'])})")
    tab.wait("document.querySelectorAll('#tickets-rows a').length > 0")
    check_unharmed(tab)


def test_a_hostile_fragment_in_the_address_does_no_harm(tab, hostile):
    for address in (
        "#ticket/%",
        "#ticket/%ff",
        "#agent/%E0%A4",
        "#javascript/x",
        "#ticket/" + "x" * 5000,
        "#search/" + "%3Cimg%20src=x%20onerror=window.marked=1%3E",
        "#ticket/..",
    ):
        tab.go(f"{hostile.url}/{address}")
        if address.startswith(("#ticket/x", "#ticket/.")):
            tab.wait(
                "!document.querySelector('#story-problem').hidden"
                " && document.querySelector('#story').open"
            )
        wait_live(tab)
        tab.forgive("status of 404")
        check_unharmed(tab)
        tab.go("about:blank")


def test_the_security_policy_refuses_what_a_mistake_in_the_page_could_do(tab, hostile):
    """Each attempt runs in the page, and the browser must refuse it."""
    open_page(tab, hostile)
    attempts = {
        "document.body.innerHTML = '<b>x</b>'": "TrustedHTML",
        "document.createElement('script').textContent = 'window.marked = true'": "TrustedScript",
        "setTimeout('window.marked = true', 0)": "TrustedScript",
        "eval('1')": "",
        "new Function('return 1')()": "",
        "trustedTypes.createPolicy('default', {createHTML: (text) => text})": "",
    }
    for attempt, reason in attempts.items():
        said = tab.evaluate(
            f"(() => {{ try {{ {attempt}; return 'done' }}"
            " catch (error) { return String(error) } })()"
        )
        assert said != "done" and reason in said, f"{attempt}: {said}"
    refused = tab.evaluate(
        "new Promise((resolve) => { const seen = [];"
        " document.addEventListener('securitypolicyviolation', (event) => {"
        " seen.push(event.effectiveDirective);"
        " if (seen.length === 5) resolve(seen.sort().join()) });"
        " const frame = document.createElement('iframe'); frame.src = location.href;"
        " document.body.append(frame);"
        " const image = new Image(); image.src = 'http://127.0.0.1:1/x.png';"
        " fetch('http://127.0.0.1:1/').catch(() => 0);"
        " document.body.setAttribute('style', 'color: red');"
        " const link = document.createElement('link'); link.rel = 'stylesheet';"
        " link.href = 'http://127.0.0.1:1/x.css'; document.head.append(link) })"
    )
    assert refused == "connect-src,frame-src,img-src,style-src-attr,style-src-elem"
    assert tab.evaluate("typeof window.marked") == "undefined"
    tab.problems.clear()  # the test provoked these refusals
