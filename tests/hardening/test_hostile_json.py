"""Hostile JSON: each response is 2xx or 4xx, and an accepted value comes back unchanged."""

from __future__ import annotations

import json

import pytest
from conformance.shapes import check_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from running import Broker, new_name, package_launcher


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Broker(
        package_launcher(),
        tmp_path_factory.mktemp("json") / "bridge.db",
        BRIDGE_RATE_LIMIT=0,
        BRIDGE_QUEUE_MAX=100000,
    ) as running:
        yield running


def no_constants(name):
    raise AssertionError(f"{name} is not JSON (RFC 8259 6)")


def strict(text: bytes):
    return json.loads(text.decode("utf-8"), parse_constant=no_constants)


RAW_PAYLOADS = [
    "1e400", "-1e400", "1e-400", "9" * 5000, "-" + "9" * 5000, "1." + "0" * 5000,
    "0." + "1" * 5000 + "e-5000", "1" + "0" * 400, "NaN", "Infinity", "-Infinity", "nan",
    "0x10", "1_000", "+1", ".5", "5.", "1e", "--1",
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\u2028\\r\\n"',
    '"\\x41"', '"unterminated', '"\\', '"\\u12"', "'single'", "tru", "nul",
    "[1,]", "[,1]", '{"a":1,}', '{"a" 1}', "{1:2}", "[1 2]", "/**/1", "1//",
    '{"a":1,"a":2}', '{"__proto__":1}', '{"\\ud800":1}', '{"":{"":{"":0}}}',
    '["' + '\\"' * 1000 + '"]', " \t\r\n1 \n", "\u00a01", "\ufeff1",
]  # fmt: skip


@pytest.mark.parametrize(
    "raw", RAW_PAYLOADS, ids=lambda raw: raw[:24].encode("unicode_escape").decode()
)
def test_any_raw_payload_is_refused_or_comes_back_unchanged(broker, raw):
    agent = new_name()
    body = b'{"payload":' + raw.encode("utf-8", "surrogatepass") + b"}"
    answer = broker.ask("POST", f"/agents/{agent}/send", body)
    assert answer.status in (202, 400), answer
    polled = strict(broker.ask("GET", f"/agents/{agent}/tickets/pending").body)
    if answer.status == 400:
        check_problem(answer, 400)
        assert polled == []
    else:
        assert json.dumps(polled[0]["payload"]) == json.dumps(strict(body)["payload"]), (
            "an accepted payload comes back unchanged"
        )
        with broker.agent_stream(agent) as stream:
            strict(stream.read_event().data.encode())
        strict(broker.ask("GET", f"/tickets/{polled[0]['ticketId']}").body)


def test_a_surrogate_in_metadata_or_id(broker):
    agent = new_name()
    for body in (
        b'{"payload":1,"metadata":{"origin":"\\ud800"}}',
        b'{"payload":1,"metadata":{"\\udfff":"x"}}',
        b'{"payload":1,"ticketId":"\\udead"}',
    ):
        assert broker.ask("POST", f"/agents/{agent}/send", body).status in (202, 400)
    strict(broker.ask("GET", f"/agents/{agent}/tickets/pending").body)
    answer = broker.ask(
        "POST",
        "/agents/register",
        b'{"agentId":"' + agent.encode() + b'","metadata":{"a":"\\ud800"},"type":"\\udc00"}',
    )
    assert answer.status in (200, 400)
    strict(broker.ask("GET", "/agents").body)


def test_a_body_that_is_not_one_json_text_is_400(broker):
    for body in (
        b'{"payload":1}{"payload":2}',
        b'{"payload":1}\n\n{"payload":2}',
        b'{"payload":1}\x00',
        b"\x00" * 20,
        b"\xff\xfe{\x00}\x00",
        '{"payload":1}'.encode("utf-16"),
        '{"payload":1}'.encode("utf-32"),
    ):
        assert broker.ask("POST", f"/agents/{new_name()}/send", body).status == 400, body


ENDPOINTS = [
    ("POST", path)
    for path in (
        "/agents/register",
        "/agents/{a}/send",
        "/agents/{a}/heartbeat",
        "/agents/{a}/subscribe",
        "/tickets/{t}/claim",
        "/tickets/{t}/acknowledge",
        "/replies",
    )
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
MEMBERS = [
    "agentId",
    "type",
    "metadata",
    "heartbeatIntervalMs",
    "payload",
    "ticketId",
    "expectReply",
    "timeoutMs",
    "ttlMs",
    "subscriber",
    "watcher",
    "leaseMs",
    "evidence",
    "tier",
    "session",
    "pane",
    "health",
    "queued",
    "cpuPercent",
    "memoryBytes",
    "reconnects",
]
BODIES = JSON | st.dictionaries(
    st.sampled_from(MEMBERS), JSON | st.integers(-2, 2**33) | st.text(max_size=3), max_size=6
)


@settings(max_examples=120)
@given(st.sampled_from(ENDPOINTS), BODIES)
def test_any_json_to_any_endpoint_is_2xx_or_4xx(broker, endpoint, body):
    method, path = endpoint
    if "/heartbeat" in path:
        broker.register("json-agent")
    ticket = broker.send("json-target", 1) if "{t}" in path else ""
    answer = broker.ask(
        method, path.format(a="json-agent", t=ticket), json.dumps(body).encode("utf-8")
    )
    assert answer.status in (200, 202, 204, 400, 404, 409), (endpoint, body, answer)
    if answer.status >= 400:
        check_problem(answer, answer.status)


def test_no_page_of_another_site_can_use_a_response(broker):
    """A browser must not use it as a script, a style or an image by guessing its type.

    This holds for refusals too.
    """
    for path, status in (("/agents", 200), ("/overview", 200), ("/tickets/none", 404)):
        answer = broker.ask("GET", path)
        assert answer.status == status and answer.field("x-content-type-options") == "nosniff"
        assert answer.field("cross-origin-resource-policy") == "same-origin"
    fetched = {"Site": "cross-site", "Mode": "no-cors", "Dest": "image"}
    cross = [(f"Sec-Fetch-{name}", value) for name, value in fetched.items()]
    agent = new_name()
    ticket = broker.send(agent, 1)
    check_problem(broker.ask("GET", f"/agents/{agent}/tickets/pending", fields=cross), 403)
    assert [stage["stage"] for stage in broker.ticket(ticket)["history"]] == ["accepted"]


def test_after_the_bodies_above_all_pages_still_parse(broker):
    """Values that the tests above stored must not break a page that lists them."""
    for path in (
        "/agents",
        "/agents/json-agent/tickets/pending",
        "/agents/json-target/tickets/pending",
        "/debug/connections",
        "/health",
    ):
        answer = broker.ask("GET", path)
        assert answer.status == 200
        strict(answer.body)
    assert broker.metrics()


@settings(max_examples=60)
@given(JSON, st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_every_payload_and_metadata_round_trips(broker, payload, metadata):
    agent = new_name()
    answer = broker.ask(
        "POST",
        f"/agents/{agent}/send",
        json.dumps({"payload": payload, "metadata": metadata}, ensure_ascii=False).encode(),
    )
    assert answer.status == 202 or ("origin" in metadata and answer.status == 400), answer
    if answer.status == 202:
        (ticket,) = broker.pending(agent)
        assert json.dumps([ticket["payload"], ticket["metadata"]]) == json.dumps(
            [payload, metadata]
        )


def test_accepted_payloads_are_the_same_after_a_restart(start, tmp_path):
    """All unusual payloads that were accepted must be readable from the disk."""
    broker = start()
    kept = {}
    for number, raw in enumerate(RAW_PAYLOADS):
        answer = broker.ask(
            "POST",
            f"/agents/a{number}/send",
            b'{"payload":' + raw.encode("utf-8", "surrogatepass") + b"}",
        )
        if answer.status == 202:
            kept[number] = broker.ask("GET", f"/agents/a{number}/tickets/pending").body
    assert kept
    broker.kill()
    broker.start()
    for number, before in kept.items():
        assert broker.ask("GET", f"/agents/a{number}/tickets/pending").body == before
