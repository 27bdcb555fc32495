"""Streams in single cases: their events, their memory, and the work of catch-up and fan-out.

test_subscriber_laws.py holds the laws about which tickets a stream sends.
"""

from __future__ import annotations

import json

from bridge.broker import pace as pace_module
from bridge.broker.backlog import Backlog
from bridge.broker.metrics.counters import Metrics
from bridge.broker.subscriber import STEP, STEP_BYTES, StreamSubscriber
from broker.seams import WALL_MS, BoundedOutbox, PacedHub, make_entry


def open_stream(limit=100, is_shared=True, after=0, hub=None):
    hub = hub or PacedHub()
    outbox = BoundedOutbox(limit)
    return hub, outbox, StreamSubscriber(hub, hub.clock, Metrics(), outbox, is_shared, after)


def catch_up(hub, *streams):
    for stream in streams:
        stream.catch_up()
    hub.turns()


def publish(hub, *entries):
    for entry in entries:
        hub.backlog(entry.agent_id)
    hub.publish(entries)


def test_an_event_is_the_ticket_with_its_agent_on_a_shared_stream():
    hub, outbox, stream = open_stream()
    stream.add('an"n', 0)
    catch_up(hub, stream)
    publish(hub, make_entry(7, 'an"n', b'{"a":1}'))
    hub, alone, single = open_stream(is_shared=False, hub=hub)
    single.add('an"n', 0)
    catch_up(hub, single)
    (shared_event,), (event,) = outbox.events, alone.events
    assert (shared_event.event, shared_event.last_event_id, event.event, event.last_event_id) == (
        "ticket",
        "7",
        "ticket",
        "7",
    )
    assert (
        json.loads(shared_event.data) == {"agentId": 'an"n', "ticket": {"a": 1}}
        and event.data == '{"a":1}'
    )


def test_the_first_stream_marks_the_ticket_as_streamed():
    hub, _, stream = open_stream()
    stream.add_everything(0)
    catch_up(hub, stream)
    entry = make_entry(1)
    publish(hub, entry)
    assert (entry.streamed_ms, entry.streamed_by) == (WALL_MS, "sse")
    entry.mark_streamed(WALL_MS + 5, "poll")
    assert (entry.streamed_ms, entry.streamed_by) == (WALL_MS, "sse")


def test_a_ticket_that_the_connection_refused_is_not_streamed(monkeypatch):
    hub, outbox, stream = open_stream()
    stream.add_everything(0)
    catch_up(hub, stream)
    entry = make_entry(1)
    monkeypatch.setattr(outbox, "send_tickets", lambda entries, is_shared: False)
    publish(hub, entry)
    assert not entry.streamed_ms


def test_agents_that_were_discarded_leave_no_memory_on_the_stream():
    """A supervisor may add a new worker every minute and keep its stream open for months."""
    hub, outbox, stream = open_stream(limit=100000)
    catch_up(hub, stream)
    for number in range(1, 5000):
        name = f"worker-{number}"
        stream.add(name, number - 1)
        catch_up(hub, stream)
        publish(hub, make_entry(number, name))
        hub.withdraw(hub.read(name, 0, 1)[0])
        stream.discard(name)
    assert outbox.seqs == list(range(1, 5000))
    assert len(stream._of_agents._left_at) < 1000 and not hub.backlogs and not hub._streams


def test_unacknowledged_tickets_are_not_sent_again_when_agents_come_back():
    hub, outbox, stream = open_stream(limit=100000)
    catch_up(hub, stream)
    for number in range(1, 1500):
        stream.add(f"worker-{number}", number - 1)
        catch_up(hub, stream)
        publish(hub, make_entry(number, f"worker-{number}"))
        stream.discard(f"worker-{number}")
    for number in range(1, 1500):
        stream.add(f"worker-{number}", 1500)
    catch_up(hub, stream)
    assert outbox.seqs == list(range(1, 1500)), "no ticket twice"


def test_the_reads_of_a_catch_up_are_bounded_by_the_tickets_sent(monkeypatch):
    """For any number of backlogs: one read for each ticket, and first one for each agent."""
    reads = []
    monkeypatch.setattr(Backlog, "read_after", counting(Backlog.read_after, reads))
    agents = [f"agent-{number}" for number in range(2000)]
    hub, everything, observer = open_stream(limit=10000)
    _, named, supervisor = open_stream(limit=10000, hub=hub)
    publish(hub, *(make_entry(number, agents[number * 7 % 2000]) for number in range(1, 4001)))
    observer.add_everything(0)
    catch_up(hub, observer)
    assert len(everything.seqs) == 4000 and len(reads) <= 4000 + 1 and max(reads) <= 1
    reads.clear()
    for agent in agents:
        supervisor.add(agent, 0)
    assert len(reads) <= 2 * 2000
    reads.clear()
    catch_up(hub, supervisor)
    assert named.seqs == everything.seqs and len(reads) <= 2 * 4000 and max(reads) <= 1
    for stream, outbox in ((observer, everything), (supervisor, named)):
        reads.clear()
        outbox.limit = outbox.waiting  # full
        publish(hub, *(make_entry(number, agents[number % 2000]) for number in range(5001, 5011)))
        outbox.read_all()
        catch_up(hub, stream)
        assert len(reads) <= 2 * 10 + 1, "a stream that was full continues where it stopped"
        for entry in hub.everything.read_after(5000, 100):
            hub.withdraw(entry)


def counting(read_after, found):
    def read(backlog, seq, limit):
        entries = read_after(backlog, seq, limit)
        found.append(len(entries))
        return entries

    return read


def test_streams_that_are_behind_share_a_turn():
    """Ten streams read a long backlog. A turn sends within its time, and each gets its share."""
    hub = PacedHub()
    publish(hub, *(make_entry(number, f"agent-{number % 500}") for number in range(1, 3001)))
    opened = [open_stream(limit=10000, hub=hub) for _ in range(10)]
    for _, _, stream in opened:
        stream.add_everything(0)
        stream.catch_up()
    hub.seconds_a_look = pace_module.TURN / 50
    sent, most = [0] * 10, 0
    while len(hub.pace):
        hub.turn()
        before, sent = sent, [len(outbox.seqs) for _, outbox, _ in opened]
        most = max(most, sum(sent) - sum(before))
        assert max(sent) <= 2 * min(sent) + 50
    assert most <= 50 and sent == [3000] * 10


def test_fan_out_to_many_streams_is_spread_over_turns():
    """Events beyond a turn's time are sent in the next turns, in order.

    A ticket is `streamed` when it is written to a stream.
    """
    hub = PacedHub()
    opened = [open_stream(limit=10000, hub=hub) for _ in range(1000)]
    for _, _, stream in opened:
        stream.add_everything(0)
    catch_up(hub, *(stream for _, _, stream in opened))
    hub.seconds_a_look = pace_module.TURN / 50
    entries = [make_entry(number, "lucy") for number in range(1, 6)]
    publish(hub, *entries)
    counts = [sum(len(outbox.seqs) for _, outbox, _ in opened)]
    assert [bool(entry.streamed_ms) for entry in entries] == [True] + [False] * 4
    while len(hub.pace):
        hub.turn()
        counts.append(sum(len(outbox.seqs) for _, outbox, _ in opened))
        assert counts[-1] - counts[-2] <= 50 and counts[0] <= 50
    assert all(outbox.seqs == [1, 2, 3, 4, 5] for _, outbox, _ in opened)
    assert all(entry.streamed_ms for entry in entries)
    hub.seconds_a_look = 0
    publish(hub, make_entry(6, "lucy"))
    assert all(outbox.seqs[-1] == 6 for _, outbox, _ in opened), "all are live again"
    assert all(stream._metrics.catchups == 0 for _, _, stream in opened), "none was slow"
    opened[0][1].limit = 0
    publish(hub, make_entry(7, "lucy"))
    assert [stream._metrics.catchups for _, _, stream in opened[:2]] == [1, 0]


def test_a_stream_that_is_behind_sends_several_tickets_in_one_write_within_two_bounds():
    hub = PacedHub()
    publish(hub, *(make_entry(number) for number in range(1, 101)))
    _, outbox, stream = open_stream(hub=hub)
    stream.add_everything(0)
    catch_up(hub, stream)
    assert outbox.seqs == list(range(1, 101)) and outbox.waiting == -(-100 // STEP)
    large = b'"%b"' % (b"x" * (STEP_BYTES // 2))
    publish(hub, *(make_entry(number, data=large) for number in range(101, 105)))
    _, outbox, stream = open_stream(hub=hub)
    stream.add_everything(100)
    catch_up(hub, stream)
    assert outbox.seqs == [101, 102, 103, 104] and outbox.waiting == 2
