"""A load test detects a faulty broker: fake brokers drop, double, refuse and break connections."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest
from fakes import FakeBroker, encode, problem, wait_for

from bridge.bench.load import Load
from bridge.bench.publishers import DEBT, pace
from bridge.errors import BrokerUnreachable, Refused
from bridge.settings import ClientSettings, LoadSettings

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1000\n\n:heartbeat\n\n"
)
SETTINGS = LoadSettings(streams=4, rate=0, seconds=600, publishers=3, outstanding=1000, drain=200)
ENOUGH = 60  # sends; then the fake broker stops the load


class Loaded:
    """A fake broker that delivers each ticket `times(number)` times, and is correct otherwise."""

    def __init__(self, times=lambda number: 1) -> None:
        self.times = times
        self.load = None
        self.streams = {}
        self.held = {}  # ticket id -> ticket, until acknowledged
        self.acknowledged = Counter()
        self.cursors = []
        self.sends = 0

    async def __call__(self, asked, writer):
        route = {
            ("GET", "stream"): self.stream,
            ("POST", "send"): self.send,
            ("POST", "acknowledge"): self.acknowledge,
            ("GET", "pending"): self.pending,
        }
        return await route[asked.method, asked.path[-1]](asked, writer)

    async def stream(self, asked, writer):
        self.cursors.append(asked.fields.get("last-event-id"))
        writer.write(STREAM_HEAD)
        self.streams[asked.path[1]] = writer
        for ticket in [each for each in self.held.values() if each["agentId"] == asked.path[1]]:
            self.event(writer, ticket)
        await asyncio.Event().wait()

    async def send(self, asked, writer):
        self.sends += 1
        if self.sends == ENOUGH:
            self.load.stop()
        number, agent = asked.body["payload"]["bench"], asked.path[1]
        ticket = {
            "ticketId": f"t{number}",
            "seq": number + 1,
            "agentId": agent,
            "payload": asked.body["payload"],
        }
        times = self.times(number)
        if times:
            self.held[ticket["ticketId"]] = ticket
        for _ in range(times):
            self.event(self.streams[agent], ticket)
        return 202, {"ticketId": ticket["ticketId"], "status": "pending"}

    def event(self, writer, ticket) -> None:
        writer.write(
            b"id: %d\nevent: ticket\ndata: %b\n\n" % (ticket["seq"], json.dumps(ticket).encode())
        )

    async def acknowledge(self, asked, writer):
        self.acknowledged[asked.path[1]] += 1
        self.held.pop(asked.path[1], None)
        return 200, {"ticketId": asked.path[1], "status": "delivered"}

    async def pending(self, asked, writer):
        return 200, [ticket for ticket in self.held.values() if ticket["agentId"] == asked.path[1]]


def run(handler, settings=SETTINGS):
    async def scenario():
        async with FakeBroker(handler) as fake:
            told = []
            handler.load = Load(
                ClientSettings(broker_url=fake.url), settings, lambda *words: told.append(words)
            )
            result = await handler.load.run()
            assert told[0][0] == "opening streams" and any(what == "sending" for what, _ in told)
            return result

    return asyncio.run(scenario())


def test_a_correct_broker():
    broker = Loaded()
    result = run(broker)
    assert (
        result.is_clean
        and result.sent == result.accepted == result.received == broker.sends >= ENOUGH
    )
    assert result.latency.count == result.answers.count == result.sent
    assert not broker.held and set(broker.acknowledged.values()) == {1}


def test_a_dropped_ticket_is_detected():
    result = run(Loaded(lambda number: 0 if number % 10 == 3 else 1))
    dropped = len([number for number in range(result.sent) if number % 10 == 3])
    assert (result.lost, result.lost_pending, result.doubled) == (dropped, 0, 0) and dropped >= 5
    assert result.received == result.accepted - dropped and not result.is_clean


def test_a_ticket_that_is_sent_twice_is_detected():
    broker = Loaded(lambda number: 2 if number % 10 == 3 else 1)
    result = run(broker)
    doubled = len([number for number in range(result.sent) if number % 10 == 3])
    assert (result.lost, result.doubled, result.received) == (
        0,
        doubled,
        result.accepted,
    ) and doubled >= 5
    assert not result.is_clean and set(broker.acknowledged.values()) == {1}


def test_a_ticket_that_is_never_pushed_counts_as_lost_and_is_acknowledged_at_the_end():
    class Forgetful(Loaded):
        def event(self, writer, ticket):
            if ticket["seq"] % 10:
                super().event(writer, ticket)

    broker = Forgetful()
    result = run(broker)
    forgotten = len([number for number in range(result.sent) if (number + 1) % 10 == 0])
    assert (result.lost, result.lost_pending) == (forgotten, forgotten) and forgotten >= 5
    assert not broker.held


def test_events_of_other_senders_are_counted_and_otherwise_ignored():
    class Chatty(Loaded):
        async def send(self, asked, writer):
            stream = self.streams[asked.path[1]]
            stream.write(
                b"event: ticket\ndata: no json\n\n"
                b"event: ticket\ndata: {}\n\n"
                b"event: other\ndata: x\n\n"
            )
            return await super().send(asked, writer)

    broker = Chatty()
    result = run(broker)
    assert (result.received, result.strangers, result.lost) == (
        result.accepted,
        2 * broker.sends,
        0,
    ) and not result.is_clean


def test_a_broken_stream_continues_from_its_cursor():
    class Breaking(Loaded):
        async def send(self, asked, writer):
            said = await super().send(asked, writer)
            if self.sends == 20:
                self.streams[asked.path[1]].transport.abort()
            return said

        async def acknowledge(self, asked, writer):
            # Hold acknowledgements back until the broken stream has reconnected. There are five
            # streams before that: the load's first connection only tests the broker.
            if len(self.cursors) <= 5:
                await wait_for(lambda: len(self.cursors) > 5 or self.sends < 20, "the reconnect")
            return await super().acknowledge(asked, writer)

    broker = Breaking()
    result = run(broker)
    assert result.errors == {"stream: broken": 1} and not result.is_clean
    assert (result.lost, result.doubled, result.received) == (0, 0, result.accepted)
    assert broker.cursors[:5] == [None] * 5 and broker.cursors[5]


def test_a_send_without_a_response_is_an_error_and_its_ticket_is_not_lost():
    class Mute(Loaded):
        async def send(self, asked, writer):
            said = await super().send(asked, writer)
            return None if self.sends % 10 == 5 else said

    broker = Mute()
    result = run(broker)
    unanswered = len([sends for sends in range(1, broker.sends + 1) if sends % 10 == 5])
    assert (
        result.errors == {"send: no answer": unanswered}
        and result.accepted == broker.sends - unanswered
    )
    assert (result.lost, result.received, result.refusal) == (
        0,
        broker.sends,
        "",
    ) and not broker.held


def test_a_rate_limit_is_counted_and_named_and_its_retry_after_is_honoured():
    class Limited(Loaded):
        async def send(self, asked, writer):
            if self.sends >= 10:
                self.sends += 1
                self.load.stop()
                return encode(
                    429,
                    {"detail": "too many (BRIDGE_RATE_LIMIT)"},
                    "application/problem+json",
                    Retry_After="3600",
                )
            return await super().send(asked, writer)

    broker = Limited()
    result = run(broker)
    refused = broker.sends - 10
    # Each publisher keeps the pause of an hour, which the end of the load cuts short.
    assert result.errors == {"send: 429": refused} and 1 <= refused <= SETTINGS.publishers
    assert (result.accepted, result.lost, result.refusal) == (10, 0, "too many (BRIDGE_RATE_LIMIT)")


def test_no_ticket_is_sent_beyond_outstanding():
    class Lazy(Loaded):
        async def acknowledge(self, asked, writer):
            await wait_for(lambda: self.sends >= 7, "as many sends as are allowed")
            self.load.stop()
            return await super().acknowledge(asked, writer)

    broker = Lazy()
    result = run(broker, replace(SETTINGS, outstanding=7))
    assert broker.sends == 7 and result.is_clean


@pytest.mark.parametrize(
    "answer, error", [(problem(503, "streams are off"), Refused), (None, BrokerUnreachable)]
)
def test_a_broker_without_streams_is_one_error(answer, error):
    async def handler(asked, writer):
        return answer

    async def scenario():
        async with FakeBroker(handler) as fake:
            with pytest.raises(error):
                await Load(ClientSettings(broker_url=fake.url), SETTINGS, lambda *words: None).run()

    asyncio.run(scenario())


def test_a_schedule_is_kept_and_its_backlog_is_limited():
    now = 100.0
    due = pace(10, lambda: now)
    assert next(due) == 0.0
    waits = [next(due) for _ in range(3)]
    # The clock has not moved, so each send gets the next place in the schedule.
    assert waits == pytest.approx([0.1, 0.2, 0.3])
    now = 200.0
    caught_up = [next(due) for _ in range(4)]
    # Only DEBT is made up for, not the tickets of 100 s.
    assert caught_up[:2] == [0.0, 0.0] and caught_up[2:] == pytest.approx([0.1, 0.2], abs=1e-6)
    assert DEBT == 0.1


def test_a_rate_of_zero_never_waits():
    due = pace(0, lambda: 5.0)
    assert [next(due) for _ in range(5)] == [0.0] * 5
