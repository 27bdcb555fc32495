"""Laws of the page's pure modules, tested in the browser that runs them."""

from __future__ import annotations

import json
import random

from bridge.cli.safe_text import one_line, visible

ALPHABET = [
    "a",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\x00",
    "\x1b",
    "\x7f",
    "\x9b",
    "\xad",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\U000e0041",
    "é",
    "🙂",
    "\u200d",
    "<b>",
]


def call(page, module: str, expression: str):
    """Evaluate `expression`, in which `m` is the module."""
    return page.evaluate(f"import('/web/{module}.js').then((m) => {expression})")


def test_invisible_characters_are_shown_as_on_the_command_line(page):
    chance = random.Random(5)
    texts = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 12))) for _ in range(500)]
    # Two adjacent surrogates are one character on the wire.
    texts = [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for text in texts
    ]
    assert call(page, "text", f"{json.dumps(texts)}.map(m.oneLine)") == [
        one_line(text) for text in texts
    ]
    assert call(page, "text", f"{json.dumps(texts)}.map(m.visible)") == [
        visible(text) for text in texts
    ]


def test_numbers_have_units(page):
    cases = {
        "duration": {
            0: "0 ms", 0.84: "0.8 ms", 9.96: "10 ms", 999: "999 ms", 999.6: "1 s",
            1234: "1.2 s", 9960: "10 s", 59400: "59 s", 59600: "1 min", 60000: "1 min",
            200000: "3 min 20 s", 3600000: "1 h", 7500000: "2 h 5 min", 273600000: "3 d 4 h",
        },
        "brief": {59999: "1 min", 60000: "1 min", 7199999: "1 h", 86400000: "1 d"},
        "ago": {0: "now", 999: "now", 1000: "1 s ago", 61000: "1 min ago"},
        "rate": {0: "0", 0.34: "0.3", 12.4: "12", 1234: "1,234"},
        "bytes": {0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1048576: "1 MiB"},
    }  # fmt: skip
    for name, table in cases.items():
        assert call(page, "format", f"{json.dumps(list(table))}.map(m.{name})") == list(
            table.values()
        ), name
    missing = (
        "[m.duration, m.brief, m.rate, m.bytes, m.count]"
        ".map((tell) => tell(null) + tell(undefined) + tell(NaN)).join('')"
    )
    assert call(page, "format", missing) == "–" * 15


def test_reading_an_address_gives_the_id_from_which_it_was_made(page):
    ids = ["lucy", "a/b", "%2F", "é 🙂", "#x", "?q=1", "..", "\u202e", "javascript:1"]
    assert call(
        page, "route", f"{json.dumps(ids)}.map((id) => m.read(m.address('ticket', id)))"
    ) == [{"kind": "ticket", "id": name} for name in ids]
    invalid = "['', '#', '#tickets', '#other/x', '#ticket/%', '#ticket/a/b']"
    assert call(page, "route", f"{invalid}.map((hash) => m.read(hash).kind).join('')") == ""


def test_no_element_gets_an_attribute_that_could_run_or_load_something(page):
    refused = (
        "(name, value) => { try { m.element('a', {[name]: value}); return name }"
        " catch (error) { return '' } }"
    )
    pairs = [
        ["onclick", "x"],
        ["style", "x"],
        ["srcdoc", "x"],
        ["src", "x"],
        ["href", "javascript:x"],
        ["href", "//evil.example"],
        ["href", "https://evil.example"],
        ["href", "data:x"],
        ["href", "#a:b"],
        ["formaction", "x"],
    ]
    each = f"{json.dumps(pairs)}.map(([name, value]) => ({refused})(name, value)).join('')"
    assert call(page, "dom", each) == ""
    title = "m.element('a', {href: '#ticket/x', title: 'a\\u202eb'}).title"
    assert call(page, "dom", title) == "a\\u{202e}b"


def test_children_are_arranged_and_their_nodes_are_reused(page):
    chance = random.Random(7)
    orders = [chance.sample("abcdefgh", chance.randint(0, 8)) for _ in range(200)]
    script = (
        "(() => { const nodes = Object.fromEntries([...'abcdefgh']"
        ".map((name) => [name, m.element('i', {text: name})])), box = m.element('div');"
        f" return {json.dumps(orders)}.map((order) =>"
        " (m.arrange(box, order.map((name) => nodes[name])), box.textContent)) })()"
    )
    assert call(page, "dom", script) == ["".join(order) for order in orders]


STATE = """
(() => {
  const state = new m.State(), at = (second) => new Date(1e12 + second * 1000).toISOString();
  const event = (id, stage, second) => state.takeStage({
    ticketId: id, seq: Number(id), agentId: 'lucy', originAgent: 'ui', threadId: null,
    stage, at: at(second), status: 'x', preview: id,
  });
  const told = [];
  const tell = () => told.push([
    state.agents.get('lucy')?.pending ?? null,
    ...[...state.tickets.values()].map(({ stage }) => stage),
  ].join(' '));
  event('1', 'accepted', 0); tell();
  event('1', 'acknowledged', 2); tell();
  event('1', 'streamed', 1); tell();
  state.takeTickets([{
    ticketId: '1', seq: 1, agentId: 'lucy', originAgent: 'ui', payload: 'x', metadata: {},
    status: 'pending', createdAt: at(0), updatedAt: at(0),
  }]); tell();
  event('1', 'acknowledged', 3); tell();
  event('1', 'replied', 4); tell();
  event('9', 'acknowledged', 4); tell();
  for (let id = 10; id < 10 + 3 * m.KEPT; id += 1) event(String(id), 'accepted', 5);
  const oldest = Math.min(...[...state.tickets.values()].map(({ seq }) => seq));
  return [...told, state.tickets.size === m.KEPT, oldest === 10 + 2 * m.KEPT];
})()
"""


def test_a_ticket_only_moves_forward_and_the_kept_tickets_are_bounded(page):
    assert call(page, "state", STATE) == [
        "1 accepted",
        "0 acknowledged",
        "0 acknowledged",
        "0 acknowledged",
        "0 acknowledged",
        "0 replied",
        "0 replied",
        True,
        True,
    ]
