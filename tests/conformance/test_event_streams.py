"""Event streams: head, backlog before live tickets, cursors, heartbeats, and end."""

from __future__ import annotations

import random
import threading

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import check_problem, check_ticket


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_head_and_the_first_block(broker, version):
    with broker.agent_stream(new_name(), version=version) as stream:
        assert stream.head.status == 200
        assert stream.head.field("content-type") == "text/event-stream"
        assert stream.head.field("cache-control") == "no-cache, no-transform"
        assert stream.head.field("x-accel-buffering") == "no"
        assert stream.head.field("bridge-heartbeat-ms") == "30000"
        assert stream.head.field("content-length") is None
        if version == "1.0":
            assert stream.head.field("transfer-encoding") is None, (
                "nginx uses HTTP/1.0, which has no chunked coding"
            )
        opening = stream.read_block()
        comments = list(opening.comments)
        if not comments:
            comments += stream.read_block().comments
        assert opening.retry == "1000" and comments == ["heartbeat"]


def test_the_backlog_comes_first_and_each_id_is_the_seq(broker):
    agent = new_name()
    old = [broker.send(agent, number) for number in range(3)]
    with broker.agent_stream(agent) as stream:
        events = stream.read_events(3)
        new = [broker.send(agent, number) for number in range(3, 6)]
        events += stream.read_events(3)
    assert [event.json["ticketId"] for event in events] == old + new
    for event in events:
        assert event.event == "ticket" and event.id == str(event.json["seq"])
        check_ticket(event.json)
        assert event.json["agentId"] == agent
    assert "streamed" in stages(broker.ticket(old[0])) and "streamed" in stages(
        broker.ticket(new[0])
    )


def test_an_event_has_the_lines_that_the_contract_shows(broker):
    agent = new_name()
    broker.send(agent, "a\r\nb")
    with broker.agent_stream(agent) as stream:
        event = stream.read_event()
    lines = event.raw.split("\n")
    assert (
        lines[0] == f"id: {event.json['seq']}"
        and lines[1] == "event: ticket"
        and lines[2].startswith('data: {"ticketId":"')
        and len(lines) == 3
    )


def test_a_ticket_is_the_same_on_every_tier(broker):
    agent = new_name()
    broker.send(agent, {"a": [1, "é"]}, metadata={"origin": "x"})
    with broker.agent_stream(agent) as stream:
        streamed = stream.read_event().json
    polled = broker.pending(agent)[0]
    shown = broker.ticket(polled["ticketId"])
    shown.pop("history")
    assert streamed == polled == shown


@pytest.mark.parametrize("how", ["header", "query", "both"])
def test_a_stream_resumes_after_its_cursor(broker, how):
    agent = new_name()
    for number in range(4):
        broker.send(agent, number)
    second = broker.pending(agent)[1]["seq"]
    fields = [] if how == "query" else [("Last-Event-ID", str(second))]
    query = {"header": "", "query": f"?after={second}", "both": "?after=0"}[how]  # the header wins
    with broker.stream(f"/agents/{agent}/tickets/stream{query}", fields) as stream:
        assert [event.json["payload"] for event in stream.read_events(2)] == [2, 3]
        broker.send(agent, 4)
        assert stream.read_event().json["payload"] == 4


def test_an_acknowledged_ticket_is_not_replayed(broker):
    agent = new_name()
    sent = [broker.send(agent, number) for number in range(3)]
    broker.acknowledge(sent[1])
    with broker.agent_stream(agent) as stream:
        assert [event.json["payload"] for event in stream.read_events(2)] == [0, 2]


def test_a_cursor_from_another_store_gets_live_tickets(broker):
    """The cursor of a lost store may be beyond all seqs. It must not hide live tickets."""
    agent = new_name()
    with broker.stream(f"/agents/{agent}/tickets/stream?after=999999999") as stream:
        stream.read_block()
        broker.send(agent, "live")
        assert stream.read_event().json["payload"] == "live"


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "0x10", "1e3"])
def test_an_invalid_after_is_400(broker, value):
    check_problem(broker.ask("GET", f"/agents/{new_name()}/tickets/stream?after={value}"), 400)


@pytest.mark.parametrize("value", ["abc", "-5", "9" * 400, "\u00e9"])
def test_an_invalid_last_event_id_is_refused_or_ignored(broker, value):
    agent = new_name()
    broker.send(agent, 1)
    with broker.agent_stream(agent, [("Last-Event-ID", value)]) as stream:
        assert stream.head.status in (200, 400)
        if stream.head.status == 200 and not value.startswith("9"):
            assert stream.read_event().json["payload"] == 1


def test_an_empty_last_event_id_counts_as_none(broker):
    """WHATWG clients without an id send no field. Proxies and others send an empty one."""
    agent = new_name()
    broker.send(agent, 1)
    with broker.agent_stream(agent, [("Last-Event-ID", "")]) as stream:
        assert stream.read_event().json["payload"] == 1


def test_two_streams_of_one_agent_both_get_each_ticket(broker):
    agent = new_name()
    with broker.agent_stream(agent) as one, broker.agent_stream(agent) as other:
        one.read_block(), other.read_block()
        ticket_id = broker.send(agent, 1)
        assert one.read_event().json["ticketId"] == other.read_event().json["ticketId"] == ticket_id
    assert broker.pending(agent), "a streamed ticket is not delivered yet"


def test_a_stream_has_tickets_of_its_agent_only(broker):
    one, other = new_name(), new_name()
    with broker.agent_stream(one) as stream:
        stream.read_block()
        broker.send(other, "for the other agent")
        broker.send(one, "for this agent")
        assert stream.read_event().json["payload"] == "for this agent"


def test_a_ticket_is_sent_once_on_a_connection(broker):
    """This holds even when the ticket was claimed and its lease has ended."""
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    with broker.agent_stream(agent) as stream:
        assert stream.read_event().json["ticketId"] == ticket_id
        broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w", "leaseMs": 20})
        wait_until(
            lambda: (
                broker.ask(
                    "POST", f"/tickets/{ticket_id}/claim", {"watcher": "v", "leaseMs": 20}
                ).status
                == 200
            ),
            "the lease runs out",
        )
        broker.send(agent, 2)
        assert stream.read_event().json["payload"] == 2


def test_no_gap_and_no_duplicate_while_senders_and_reconnects_race(broker):
    """Four senders run while one reader closes its stream often and resumes after its cursor."""
    agent, each, chance = new_name(), 24, random.Random(7)

    def publish(sender):
        with broker.line() as line:
            for number in range(each):
                assert (
                    line.ask("POST", f"/agents/{agent}/send", {"payload": [sender, number]}).status
                    == 202
                )

    senders = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    seen, cursor = [], "0"
    while len(seen) < 4 * each:
        with broker.agent_stream(agent, [("Last-Event-ID", cursor)]) as stream:
            for event in stream.read_events(min(chance.randint(1, 9), 4 * each - len(seen))):
                seen.append(event)
                cursor = event.id
    for sender in senders:
        sender.join()
    numbers = [int(event.id) for event in seen]
    assert numbers == sorted(set(numbers))
    assert len({event.json["ticketId"] for event in seen}) == 4 * each
    for sender in range(4):
        assert [
            event.json["payload"][1] for event in seen if event.json["payload"][0] == sender
        ] == list(range(each))


def test_many_streams_get_the_same_order(broker):
    agent = new_name()
    streams = [broker.agent_stream(agent) for _ in range(5)]
    try:
        with broker.line() as line:
            for number in range(40):
                line.request("POST", f"/agents/{agent}/send", {"payload": number})
            for _ in range(40):
                assert line.read_answer().status == 202
        for stream in streams:
            assert [event.json["payload"] for event in stream.read_events(40)] == list(range(40))
    finally:
        for stream in streams:
            stream.close()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A broker that sends ten heartbeats per second."""
    from running import Broker, package_launcher

    with Broker(
        package_launcher(), tmp_path_factory.mktemp("quick") / "bridge.db", BRIDGE_SSE_HEARTBEAT=100
    ) as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/agents/quiet/tickets/stream", "/tickets/stream", "/tickets/stream?subscriber=x"]
)
def test_heartbeats_are_comments(quick, path):
    with quick.stream(path) as stream:
        blocks = [stream.read_block() for _ in range(6)]
    beats = [block for block in blocks if block.comments == ["heartbeat"]]
    assert len(beats) >= 5 and all(block.data is None for block in blocks)


@pytest.mark.parametrize(
    "path", ["/agents/quiet/tickets/stream?heartbeat=event", "/tickets/stream?heartbeat=event"]
)
def test_heartbeats_as_events_have_data_and_no_id(quick, path):
    """Browsers do not dispatch an event without data (WHATWG HTML 9.2.6).

    An id would move the cursor.
    """
    with quick.stream(path) as stream:
        beats = [stream.read_event() for _ in range(3)]
    assert [beat.event for beat in beats] == ["heartbeat"] * 3
    assert all(beat.data and beat.id is None for beat in beats)


def test_a_reply_stream_has_heartbeats_too(quick):
    ticket_id = quick.send(new_name(), 1, timeoutMs=60000)
    with quick.stream(f"/replies/{ticket_id}/stream") as stream:
        assert (
            sum(
                block.comments == ["heartbeat"] for block in [stream.read_block() for _ in range(4)]
            )
            >= 3
        )


def test_streams_end_cleanly_when_the_broker_stops(start):
    broker = start()
    agent, ticket_id = new_name(), broker.send(new_name(), 1, timeoutMs=60000)
    paths = [f"/agents/{agent}/tickets/stream", "/tickets/stream", f"/replies/{ticket_id}/stream"]
    streams = [broker.stream(path) for path in paths]
    for stream in streams:
        stream.read_block()
    broker.stop()
    for stream in streams:
        while stream.read_event() is not None:
            pass
        stream.close()


def test_with_sse_disabled_each_stream_is_503(start):
    broker = start(DISABLE_SSE="true")
    ticket_id = broker.send(new_name(), 1)
    for path in ("/agents/a/tickets/stream", "/tickets/stream", f"/replies/{ticket_id}/stream"):
        check_problem(broker.ask("GET", path), 503)
    assert broker.ask("GET", "/health").status == 200


def test_a_head_request_of_a_stream_ends(broker):
    with broker.line() as line:
        answer = line.ask("HEAD", f"/agents/{new_name()}/tickets/stream")
        assert answer.status == 200 and answer.field("content-type") == "text/event-stream"


def test_a_stream_resumes_after_kill_minus_nine(start):
    broker = start()
    agent = new_name()
    for number in range(3):
        broker.send(agent, number)
    with broker.agent_stream(agent) as stream:
        cursor = stream.read_events(2)[-1].id
    broker.kill()
    broker.start()
    broker.send(agent, 3)
    with broker.agent_stream(agent, [("Last-Event-ID", cursor)]) as stream:
        assert [event.json["payload"] for event in stream.read_events(2)] == [2, 3]
