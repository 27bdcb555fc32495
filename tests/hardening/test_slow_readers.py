"""Readers that are slow, stalled, gone or many.

They lose no ticket, use little memory, and do not delay others.
"""

from __future__ import annotations

import pathlib
import resource
import socket
import struct

from raw_http import EventStream
from running import new_name, wait_until

# linux/tcp.h. A socket that is closed in repair mode sends neither FIN nor RST, like a host that
# lost power.
TCP_REPAIR = 19
BIG = "x" * 100_000


def open_streams(broker) -> int:
    return broker.ask("GET", "/debug/connections").json["sse"]["active"]


def test_a_slow_reader_loses_nothing_and_does_not_delay_others(start):
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    agent = new_name()
    slow = broker.agent_stream(agent, receive_buffer=4096)
    with broker.agent_stream(agent) as quick:
        slow.read_block(), quick.read_block()
        for number in range(80):
            broker.send(agent, [number, BIG])
            assert quick.read_event().json["payload"][0] == number, (
                "the quick reader gets each ticket at once"
            )
        assert [event.json["payload"][0] for event in slow.read_events(80)] == list(range(80)), (
            "the slow reader gets all tickets in order"
        )
        broker.send(agent, ["live", ""])
        assert (
            slow.read_event().json["payload"][0] == quick.read_event().json["payload"][0] == "live"
        )
    slow.close()


def test_many_stalled_readers_take_little_memory(start):
    """60 readers read none of their 8 MB. Unbounded outboxes would take 480 MB."""
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    agent = new_name()
    streams = [broker.agent_stream(agent, receive_buffer=4096) for _ in range(60)]
    for stream in streams:
        stream.read_block()
    before = broker.memory_kib()
    for number in range(80):
        broker.send(agent, [number, BIG])
    grown = broker.memory_kib() - before
    assert grown < 80_000, f"{grown} KiB for 8 MB of tickets"
    for stream in (streams[0], streams[30], streams[59]):
        assert [event.json["payload"][0] for event in stream.read_events(80)] == list(range(80))
    for stream in streams:
        stream.close()
    wait_until(lambda: open_streams(broker) == 0, "all are forgotten")


def test_the_backlog_is_not_copied_for_each_slow_reader(start):
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    agent = new_name()
    for number in range(100):
        broker.send(agent, [number, BIG])
    before = broker.memory_kib()
    streams = [broker.agent_stream(agent, receive_buffer=4096) for _ in range(40)]
    for stream in streams:
        stream.read_block()
    grown = broker.memory_kib() - before
    assert grown < 60_000, f"{grown} KiB for 40 readers of one backlog of 10 MB"
    assert [event.json["payload"][0] for event in streams[7].read_events(100)] == list(range(100))
    for stream in streams:
        stream.close()


def test_an_acknowledged_ticket_is_not_sent_to_a_reader_that_is_behind(start):
    """The reader catches up from the backlog, which no longer holds acknowledged tickets."""
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    agent = new_name()
    slow = broker.agent_stream(agent, receive_buffer=4096)
    slow.read_block()
    sent = [broker.send(agent, [number, BIG]) for number in range(80)]
    for ticket_id in sent[:79]:
        broker.acknowledge(ticket_id)
    seen = []
    while not seen or seen[-1] != 79:
        seen.append(slow.read_event().json["payload"][0])
    slow.close()
    assert seen == sorted(set(seen)) and len(seen) < 79, (
        "in order, once, and without most of the acknowledged tickets"
    )


def test_a_stalled_connection_is_closed_at_the_write_deadline(start):
    broker = start(
        strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_WRITE_DEADLINE=500, BRIDGE_SSE_HEARTBEAT=100
    )
    agent = new_name()
    stalled = broker.agent_stream(agent, receive_buffer=4096)
    with broker.agent_stream(new_name()) as idle:
        idle.read_block()
        for number in range(80):
            broker.send(agent, [number, BIG])
        wait_until(lambda: open_streams(broker) == 1, "only the stalled stream is closed")
        assert broker.ask("GET", "/debug/connections").json["sse"]["failed"] >= 1
        for _ in range(10):
            idle.read_block()
    stalled.close()


def test_a_peer_that_lost_power_is_detected(start):
    """The host sends no FIN and no RST. The next heartbeat gets a RST from its kernel."""
    broker = start(strict=False, BRIDGE_SSE_HEARTBEAT=100)
    stream = broker.agent_stream(new_name())
    stream.read_block()
    assert open_streams(broker) == 1
    try:
        stream.line.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        # Without CAP_NET_ADMIN, test at least a reset.
        stream.line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()
    wait_until(lambda: open_streams(broker) == 0, "the dead one is forgotten")


def test_connections_have_keep_alive_probes(start):
    """In /proc/net/tcp, timer 02 is the keep-alive timer. The broker's socket must have it."""
    broker = start()
    with broker.agent_stream(new_name()) as stream:
        stream.read_block()
        local, remote = broker.port, stream.line.socket.getsockname()[1]

        def timer():
            for row in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                cells = row.split()
                if (
                    int(cells[1].split(":")[1], 16) == local
                    and int(cells[2].split(":")[1], 16) == remote
                ):
                    return cells[5].split(":")[0]

        wait_until(lambda: timer() == "02", "the keep-alive timer")


def test_a_thousand_streams_leave_no_memory_and_no_descriptor(start):
    resource.setrlimit(
        resource.RLIMIT_NOFILE,
        (
            min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
            resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        ),
    )
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0)
    broker.send("warm", 1)
    churn(broker, 2)  # memory that the first streams take is no leak
    before, files = broker.memory_kib(), broker.descriptors()
    churn(broker, 8)
    wait_until(lambda: open_streams(broker) == 0, "all are forgotten")
    wait_until(lambda: broker.descriptors() <= files + 5, "no descriptor is left")
    assert broker.memory_kib() - before < 15_000
    assert broker.ask("GET", "/health").status == 200


def churn(broker, rounds: int) -> None:
    for round_number in range(rounds):
        streams = [
            EventStream(broker.port, f"/agents/churn{number % 20}/tickets/stream?after={2**50}")
            for number in range(125)
        ]
        for number in range(0, 125, 2):
            streams[number].close()  # half of them close before they have read a byte
        ticket_id = broker.send("churn1", round_number)
        for number in (1, 21, 41, 61, 81, 101, 121):
            assert streams[number].read_event().json["ticketId"] == ticket_id
        for stream in streams:
            stream.close()
        broker.acknowledge(ticket_id)


def test_a_broker_without_free_descriptors_serves_its_connections(start):
    """accept(2) fails with EMFILE. Open connections are served; others when there is room."""
    broker = start(strict=False)
    resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (broker.descriptors() + 20, 4096))
    with broker.line() as inside:
        assert inside.ask("GET", "/health").status == 200
        crowd = [socket.create_connection(("127.0.0.1", broker.port), 20) for _ in range(60)]
        for number in range(5):
            assert inside.ask("POST", "/agents/a/send", {"payload": number}).status == 202
        for one in crowd:
            one.close()
        wait_until(lambda: broker.ask("GET", "/health").status == 200, "room again")
    assert len(broker.pending("a")) == 5


def test_owed_tickets_are_sent_although_the_stream_breaks(start):
    """No ticket may be skipped for ever.

    The backlog that a late subscription owes exceeds an outbox, and live tickets come meanwhile.
    The stream breaks again and again and resumes with the last id that it got.
    """
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    for number in range(40):
        broker.send("old", ["old", number, BIG])
    broker.ask("POST", "/agents/live/subscribe", {"subscriber": "s"})
    broker.send("live", ["live", 0, ""])
    with broker.stream("/tickets/stream?subscriber=s") as stream:
        cursor = stream.read_event().id
    broker.ask("POST", "/agents/old/subscribe", {"subscriber": "s"})
    seen, expected = set(), {("old", number) for number in range(40)}
    for reads in [1, 3, 2, 7, 1, 5, 4, 9, 2, 12, 30, 500]:
        with broker.stream(
            "/tickets/stream?subscriber=s", [("Last-Event-ID", cursor)], receive_buffer=4096
        ) as stream:
            stream.read_block()
            for _ in range(2):
                name = ("live", len(expected))
                broker.send("live", [*name, ""])
                expected.add(name)
            for _ in range(reads):
                if expected <= seen:
                    break
                event = stream.read_event()  # its timeout is the deadline of this test
                cursor = event.id
                seen.add(tuple(event.json["ticket"]["payload"][:2]))
    assert expected <= seen


def test_owed_tickets_are_sent_after_kill_minus_nine(start):
    broker = start()
    broker.send("old", "owed")
    broker.ask("POST", "/agents/live/subscribe", {"subscriber": "s"})
    broker.send("live", "seen")
    with broker.stream("/tickets/stream?subscriber=s") as stream:
        cursor = stream.read_event().id
    assert broker.ask("POST", "/agents/old/subscribe", {"subscriber": "s"}).status == 204
    broker.kill()
    broker.start()
    with broker.stream("/tickets/stream?subscriber=s", [("Last-Event-ID", cursor)]) as stream:
        assert stream.read_event().json["ticket"]["payload"] == "owed"


def test_a_reset_during_a_catch_up_fails_no_callback(start):
    """A write begun by the transport's `resume_writing` finds the reset.

    No callback may fail; `stop` checks it.
    """
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_OUTBOX=65536)
    for number in range(40):
        broker.send("a", [number, BIG])
    for number in range(200):  # this is a race, so try often
        with broker.agent_stream("a", receive_buffer=4096 * (1 + number % 5)) as stream:
            stream.read_events(number % 12)
            stream.line.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
    wait_until(lambda: open_streams(broker) == 0, "all are forgotten")
