"""Readers of the live events: each stage once and in order, within bounds.

Without a reader, no event is made and no timer runs.
"""

from __future__ import annotations

import asyncio
import json

from virtual_clock import run

from bridge.broker import events as events_module
from bridge.broker.events import EventReader
from bridge.broker.fronts import outbox as outbox_module
from bridge.broker.ledger import NewTicket
from bridge.broker.live_event import preview
from bridge.broker.transitions import acknowledged, claimed, replied
from bridge.errors import StoreBusy
from broker.seams import BoundedOutbox
from broker.small_server import SmallServer, make_services
from broker.talk import request, settle

ENDED = b"\r\n0\r\n\r\n"
FOLLOW = request("GET", "/events")


class Scene:
    """A broker without a front. `open` makes a reader as `GET /events` does."""

    def __init__(self, loop) -> None:
        self.loop = loop
        self.services = make_services(loop)
        self.journal = self.services.journal

    def open(self, limit=1000, agent=None, thread=None):
        outbox = BoundedOutbox(limit)
        return EventReader(self.services.events, outbox, agent, thread), outbox

    async def accept(self, agent="lucy", payload="hello", **metadata):
        entry, _ = self.services.ledger.accept(
            agent, NewTicket(payload, metadata, metadata.get("origin", "ui"))
        )
        await self.settle()
        return entry

    async def change(self, entry, state):
        self.services.ledger.propose(entry, state)
        await self.settle()

    async def settle(self):
        self.journal.close_group()
        while self.journal.unwritten:
            self.journal.settle()
        await asyncio.sleep(0)

    def turn(self, outbox):
        return [(event.event, json.loads(event.data)) for event in outbox.events]


def test_each_stage_is_sent_once_in_order_with_its_status():
    async def scenario(loop):
        scene = Scene(loop)
        reader, outbox = scene.open()
        entry = await scene.accept(payload={"a": [1]}, threadId="T", origin="ann")
        clock = scene.services.clock
        scene.services.metrics.streamed(entry, "poll", clock.wall_ms(), clock.monotonic())
        await scene.change(
            entry, claimed(entry.head, "w", 1000, clock.monotonic(), clock.wall_ms())
        )
        # A renewal of the lease is no stage.
        await scene.change(
            entry, claimed(entry.head, "w", 1000, clock.monotonic(), clock.wall_ms())
        )
        await scene.change(
            entry,
            acknowledged(
                entry.head,
                "w",
                {"pane": "%1", "submittedAt": "2023-11-14T22:13:21.000Z"},
                clock.wall_ms(),
            ),
        )
        await scene.change(entry, replied(entry.head, "done", {}, clock.wall_ms()))
        told = scene.turn(outbox)
        assert [name for name, _ in told] == ["stage"] * 6
        assert [(each["stage"], each["status"]) for _, each in told] == [
            ("accepted", "pending"),
            ("streamed", "pending"),
            ("claimed", "pending"),
            ("injected", "delivered"),
            ("acknowledged", "delivered"),
            ("replied", "responded"),
        ]
        for _, each in told:
            assert (
                each["ticketId"],
                each["seq"],
                each["agentId"],
                each["originAgent"],
                each["threadId"],
            ) == (entry.ticket_id, 1, "lucy", "ann", "T")
        history = [
            {key: value for key, value in each.items() if key in ("stage", "at", "by", "evidence")}
            for _, each in told
        ]
        assert history == entry.history(), "the live events and the history are the same"
        assert {each["stage"]: each["preview"] for _, each in told if "preview" in each} == {
            "accepted": '{"a":[1]}',
            "replied": "done",
        }
        reader.close()

    run(scenario)


def test_a_ticket_whose_write_failed_makes_no_event():
    async def scenario(loop):
        scene = Scene(loop)
        reader, outbox = scene.open()
        scene.services.ledger.accept("lucy", NewTicket("lost", {}))
        scene.journal.settle(StoreBusy("full"))
        await asyncio.sleep(0)
        assert scene.turn(outbox) == []
        reader.close()

    run(scenario)


def test_a_failing_event_does_not_affect_the_ticket(monkeypatch, caplog):
    async def scenario(loop):
        scene = Scene(loop)
        reader, outbox = scene.open()
        monkeypatch.setattr(scene.services.events, "_about_of", lambda entry: 1 / 0)
        entry = await scene.accept()
        assert (
            scene.services.hub.read("lucy", 0, 9) == [entry]
            and "event not sent" in caplog.text
            and scene.services.metrics.events_missed == 1
        )
        reader.close()

    run(scenario)


def test_a_reader_gets_events_of_its_agent_or_its_thread_only():
    async def scenario(loop):
        scene = Scene(loop)
        readers = {
            filters: scene.open(agent=filters[0], thread=filters[1])
            for filters in [(None, None), ("ann", None), (None, "T"), ("ann", "T")]
        }
        for agent, metadata in [
            ("ann", {}),
            ("bob", {"threadId": "T"}),
            ("ann", {"threadId": "T"}),
            ("ann", {"threadId": ["T"]}),
        ]:
            await scene.accept(agent, **metadata)
        seen = {
            filters: [each["seq"] for name, each in scene.turn(outbox) if name == "stage"]
            for filters, (_, outbox) in readers.items()
        }
        assert seen == {
            (None, None): [1, 2, 3, 4],
            ("ann", None): [1, 3, 4],
            (None, "T"): [2, 3],
            ("ann", "T"): [3],
        }
        for reader, _ in readers.values():
            reader.close()

    run(scenario)


def test_a_slow_reader_holds_nothing_and_gets_the_count_of_missed_events():
    async def scenario(loop):
        scene = Scene(loop)
        slow, narrow = scene.open(limit=1)
        quick, wide = scene.open()
        for _ in range(5):
            await scene.accept()
            scene.turn(narrow)
        assert len(scene.turn(wide)) == 5 and len(scene.turn(narrow)) == 1
        assert narrow.waiting == 1, "the outbox was given nothing to keep"
        narrow.read_all()
        slow.catch_up()
        assert scene.turn(narrow)[-1] == ("missed", {"events": 4})
        narrow.read_all()
        slow.catch_up()
        await scene.accept()
        assert [name for name, _ in scene.turn(narrow)] == ["stage", "missed", "stage"], "sent once"
        slow.close(), quick.close()

    run(scenario)


def test_the_events_of_one_iteration_leave_in_one_write(monkeypatch):
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(FOLLOW)
        await settle(server)
        writes, write = [], line.write

        def counting(data):
            writes.append(len(data))
            write(data)

        monkeypatch.setattr(line, "write", counting)
        for _ in range(10):
            server.services.ledger.accept("lucy", NewTicket("x", {}))
        await settle(server)
        assert line.received.count(b"event: stage") == 10 and len(writes) == 1
        for _ in range(10):
            server.services.ledger.accept(
                "lucy", NewTicket("x", {"threadId": "y" * outbox_module.HELD_MAX})
            )
        await settle(server)
        assert line.received.count(b"event: stage") == 20
        most = 2 * outbox_module.HELD_MAX + 1000  # what was held, and the event that was too much
        assert len(writes) > 5 and max(writes) <= most, "for any number of events"
        assert line.connection._outbox._held is None

    run(scenario)


def test_an_event_is_encoded_once_for_all_its_readers():
    async def scenario(loop):
        server = SmallServer(loop)
        lines = [server.connect() for _ in range(3)]
        for line in lines:
            line.send(FOLLOW)
        await settle(server)
        before = outbox_module.encode_live.cache_info()
        for _ in range(10):
            server.services.ledger.accept("lucy", NewTicket("x", {}))
        await settle(server)
        after = outbox_module.encode_live.cache_info()
        assert (after.misses - before.misses, after.hits - before.hits) == (10, 20)
        assert all(line.received.count(b"event: stage") == 10 for line in lines)

    run(scenario)


def test_without_a_reader_there_is_no_observer_and_no_timer():
    async def scenario(loop):
        scene = Scene(loop)
        assert scene.services.metrics.on_stage is None
        first, _ = scene.open()
        second, _ = scene.open()
        first.close()
        assert scene.services.metrics.on_stage is not None and len(scene.services.events) == 1
        second.close()
        second.close()
        assert (
            scene.services.metrics.on_stage is None
            and scene.services.events._timer is None
            and not scene.services.events._seen
        )

    run(scenario)


def test_an_agent_event_is_sent_when_its_state_changes_and_when_it_is_gone(monkeypatch):
    # So that ten agents take several looks.
    monkeypatch.setattr(events_module, "LOOK_MAX", 3)

    async def scenario(loop):
        scene = Scene(loop)
        for number in range(10):
            await scene.accept(f"known-{number}")
        reader, outbox = scene.open()
        entry = await scene.accept("new")
        await scene.accept("known-1")
        await asyncio.sleep(10)
        rows = [row for name, row in scene.turn(outbox) if name == "agent"]
        assert [
            (row["agentId"], row["pending"], row["registered"], row["status"]) for row in rows
        ] == [("new", 1, False, "offline")]
        scene.services.registry.presence("known-1").polled_at = loop.time()
        await scene.change(entry, acknowledged(entry.head, "", {}, 1))
        await asyncio.sleep(60)
        rows = [
            (row["agentId"], row["connection"], row["pending"])
            for name, row in scene.turn(outbox)[1:]
            if name == "agent"
        ][1:]
        assert sorted(rows[:2]) == [("known-1", "poll", 2), ("new", "none", 0)], (
            "one agent polled, and the other one is gone"
        )
        assert rows[2:] == [("known-1", "none", 2)], "a poll counts as presence for some time"
        assert "new" not in scene.services.events._seen
        reader.close()

    run(scenario)


def test_a_preview_is_the_beginning_of_the_text():
    assert (
        preview("x" * 500) == "x" * 200
        and preview({"a": "é"}) == '{"a":"é"}'
        and preview(None) == "null"
    )


def test_the_cache_of_origins_and_threads_is_bounded_in_bytes_and_refilled():
    """The ledger and the events do not bound the length of an origin or a threadId."""

    async def scenario(loop):
        scene = Scene(loop)
        reader, outbox = scene.open(limit=100000)
        events, big = scene.services.events, "x" * 500_000
        for number in range(20):
            await scene.accept(origin=f"{number}{big}", threadId=f"{number}{big}")
        entries = [await scene.accept(origin="ann", threadId=str(number)) for number in range(10)]
        kept = sum(len(text or "") for about in events._about.values() for text in about)
        assert kept < events_module.ABOUT_BYTES
        assert events._about_bytes == sum(about.size for about in events._about.values())
        for _ in range(10000):
            scene.services.ledger.accept("lucy", NewTicket("hello", {}))
        await scene.settle()
        assert events._about_bytes <= events_module.ABOUT_BYTES
        assert 1000 < len(events._about) < 10000
        scene.turn(outbox)
        await scene.change(entries[3], acknowledged(entries[3].head, "w", {}, 1))
        _, told = scene.turn(outbox)[-1]
        again = (told["stage"], told["originAgent"], told["threadId"])
        assert again == ("acknowledged", "ann", "3"), "evicted, then read again"
        reader.close()
        assert not events._about and not events._about_bytes

    run(scenario)


def test_at_the_limit_the_oldest_reader_is_closed_after_its_minimum_time():
    async def scenario(loop):
        server = SmallServer(loop, events_max=2)
        first, second, early, third, fourth = (server.connect() for _ in range(5))
        first.send(FOLLOW)
        await asyncio.sleep(5)
        second.send(FOLLOW)
        await asyncio.sleep(4)
        early.send(FOLLOW)
        assert b"HTTP/1.1 503" in early.received and b"Retry-After: 10" in early.received
        await asyncio.sleep(1)
        third.send(request("HEAD", "/events"))
        assert not first.received.endswith(ENDED), "a HEAD does not count as a reader"
        fourth.send(FOLLOW)
        assert first.received.endswith(ENDED) and not second.received.endswith(ENDED)
        assert len(server.services.events) == 2
        server.connect().send(request("POST", "/agents/lucy/send", {"payload": "hi"}))
        await settle(server)
        assert b"event: stage" in second.received and b"event: stage" in fourth.received

    run(scenario)


def test_at_the_limit_a_lagging_reader_is_closed_before_older_ones():
    async def scenario(loop):
        server = SmallServer(loop, events_max=3, sse_outbox=1024, write_deadline=60000)
        old, new = server.connect(), server.connect()
        stuck, slow = server.connect(is_stalled=True), server.connect(is_stalled=True)
        for line in (old, stuck, slow):
            line.send(FOLLOW)
        sender = server.connect()
        for _ in range(20):
            sender.send(request("POST", "/agents/lucy/send", {"payload": "x" * 200}))
            await settle(server)
        await asyncio.sleep(9)
        slow.read()
        await asyncio.sleep(1)
        new.send(FOLLOW)
        assert len(server.services.events) == 3 and stuck.is_closing()
        ended = [line.is_closing() for line in (old, slow, new)]
        assert not any(ended), "a reader that has read again does not lag"

    run(scenario)
