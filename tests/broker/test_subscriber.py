"""Streams against a naive model: which tickets must have been sent on a connection, and which may have been.

    must    pending, of a carried agent, new to the cursor or owed      all of them, once all is read
    may     whatever the connection was ever entitled to                nothing else, ever

And always: no ticket twice on one connection, all in order of seq, and none that was not pending.
The backlog of an agent that was added late comes first.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bridge.broker import pace as pace_module
from bridge.broker import subscriber as subscriber_module
from bridge.broker.backlog import Backlog
from bridge.broker.metrics import Metrics
from bridge.broker.subscriber import StreamSubscriber
from broker.seams import WALL_MS, BoundedOutbox, PacedHub, make_entry

AGENTS = ["ann", "bob", "cyd"]
agents = st.sampled_from(AGENTS)


class Line:
    """One open stream, as its peer sees it."""

    def __init__(self, hub, limit, is_shared, after, clock, metrics) -> None:
        self.outbox = BoundedOutbox(limit)
        self.stream = StreamSubscriber(hub, clock, metrics, self.outbox, is_shared, after)
        self.after, self.carried, self.is_everything = after, set(), False
        self.must, self.may, self.seen = set(), set(), []
        self.late = [0]  # how much had been sent when an agent was added
        self.floor = {}  # agent -> seq up to which the cursor spoke for it

    def carries(self, agent) -> bool:
        return self.is_everything or agent in self.carried

    def read(self) -> None:
        """The peer reads; its front says so if there had been no room."""
        was_full = not self.outbox.has_room()
        self.outbox.read_all()
        if was_full:
            self.stream.catch_up()


class StreamMachine(RuleBasedStateMachine):
    lines = Bundle("lines")

    def __init__(self) -> None:
        super().__init__()
        self.kept = subscriber_module.STEP
        subscriber_module.STEP = 3  # so that small examples reach it
        self.hub, self.metrics = PacedHub(), Metrics()
        self.clock = self.hub.clock
        self.last, self.pending, self.agent_of, self.open = 0, {}, {}, []

    def teardown(self) -> None:
        self.read_everything()
        for line in self.open:
            line.stream.close()
        subscriber_module.STEP = self.kept
        left = self.hub._streams or self.hub._everything or len(self.hub.pace)
        assert not left, "a closed stream leaves nothing behind"

    # -- connections -----------------------------------------------------------

    def _open(self, limit, is_shared, after) -> Line:
        line = Line(self.hub, limit, is_shared, min(after, self.last), self.clock, self.metrics)
        self.open.append(line)
        return line

    def _attached(self, line) -> Line:
        line.stream.catch_up()
        return line

    @rule(target=lines, limit=st.integers(1, 6), after=st.integers(0, 60), agent=agents)
    def open_agent(self, limit, after, agent):
        line = self._open(limit, False, after)
        line.carried, line.floor = {agent}, {agent: line.after}
        line.must = {
            seq
            for seq, entry in self.pending.items()
            if entry.agent_id == agent and seq > line.after
        }
        line.may |= line.must
        line.stream.add(agent, 0)
        return self._attached(line)

    @rule(
        target=lines,
        limit=st.integers(1, 6),
        after=st.integers(0, 60),
        subscribed=st.dictionaries(agents, st.integers(0, 60)),
    )
    def open_named(self, limit, after, subscribed):
        line = self._open(limit, True, after)
        line.carried = set(subscribed)
        for agent, owed in subscribed.items():
            line.floor[agent] = line.after
            line.must |= {
                seq
                for seq, entry in self.pending.items()
                if entry.agent_id == agent and (seq > line.after or seq <= owed)
            }
            line.stream.add(agent, owed)
        line.may |= line.must
        return self._attached(line)

    @rule(target=lines, limit=st.integers(1, 6), after=st.integers(0, 60))
    def open_everything(self, limit, after):
        line = self._open(limit, True, after)
        line.is_everything = True
        line.must = {seq for seq in self.pending if seq > line.after}
        line.may |= line.must
        line.stream.add_everything(line.after)
        return self._attached(line)

    @rule(line=consumes(lines))
    def close(self, line):
        self.check(line)
        line.stream.close()
        self.open.remove(line)

    @rule(line=lines, agent=agents)
    def add(self, line, agent):
        """Subscribed while the stream is open: all that is pending is due, but not what it was sent already."""
        if line.is_everything or not line.stream._is_shared:
            return
        if agent not in line.carried:
            line.carried.add(agent)
            backlog = {seq for seq, entry in self.pending.items() if entry.agent_id == agent} - set(
                line.outbox.seqs
            )
            line.may |= backlog
            line.must |= {seq for seq in backlog if seq > line.floor.get(agent, 0)}
        line.late.append(len(line.outbox.seqs))
        line.stream.add(agent, self.last)
        line.stream.catch_up()

    @rule(line=lines, agent=agents)
    def discard(self, line, agent):
        if not line.is_everything and line.stream._is_shared:
            line.carried.discard(agent)
            line.must -= {seq for seq in line.must if self.agent_of[seq] == agent}
            line.stream.discard(agent)

    # -- tickets ---------------------------------------------------------------

    @rule(
        group=st.lists(agents, min_size=1, max_size=8),
        size=st.integers(2, 30),
        skipped=st.integers(0, 2),
    )
    def publish(self, group, size, skipped):
        self.last += skipped  # a failed group took these
        entries = []
        for agent in group:
            self.last += 1
            entry = make_entry(self.last, agent, b"1" * size)
            self.pending[entry.seq], self.agent_of[entry.seq] = entry, agent
            for line in self.open:
                if line.carries(agent):
                    line.must.add(entry.seq)
                    line.may.add(entry.seq)
            self.hub.backlog(agent)
            entries.append(entry)
        self.hub.publish(entries)

    @rule(data=st.data(), count=st.integers(1, 6))
    def withdraw(self, data, count):
        """Acknowledged, also while some streams are behind."""
        for _ in range(min(count, len(self.pending))):
            seq = data.draw(st.sampled_from(sorted(self.pending)))
            self.hub.withdraw(self.pending.pop(seq))

    # -- peers -----------------------------------------------------------------

    @rule(line=lines)
    def read(self, line):
        line.read()

    @rule()
    def turn(self):
        self.hub.turn()

    @rule(share=st.sampled_from([0, 0.2, 0.6, 2]))
    def work_takes(self, share):
        """Each look at the clock takes that share of a turn's time."""
        self.hub.seconds_a_look = share * pace_module.TURN

    @rule()
    def read_everything(self):
        for _ in range(len(self.open) * (2 * self.last + 4)):
            self.hub.turn()
            for line in self.open:
                line.read()
        for line in self.open:
            self.check(line)
            missing = (line.must & set(self.pending)) - set(line.outbox.seqs)
            assert not missing, f"lost: {sorted(missing)}"
            assert line.stream.is_live, "with all read, a stream is live again"

    # -- laws --------------------------------------------------------------------

    def check(self, line) -> None:
        seqs = line.outbox.seqs
        assert len(set(seqs)) == len(seqs), f"twice: {seqs}"
        assert set(seqs) <= line.may, f"not due: {sorted(set(seqs) - line.may)}"
        for first, end in zip(line.late, [*line.late[1:], len(seqs)]):
            assert seqs[first:end] == sorted(seqs[first:end]), f"out of order: {seqs}"
        for agent in AGENTS:
            its = [seq for seq in seqs if self.agent_of[seq] == agent]
            assert its == sorted(its), f"out of order: {its}"

    @invariant()
    def holds(self):
        for line in self.open:
            self.check(line)
            fresh = line.outbox.seqs[len(line.seen) :]
            line.seen += fresh
            assert set(fresh) <= set(self.pending), "sent although it was no longer pending"
            assert line.outbox.waiting <= line.outbox.limit, "written although there was no room"

    @invariant()
    def the_hub_counts(self):
        entries = self.pending.values()
        assert self.hub.pending == len(entries) and self.hub.pending_bytes == sum(
            len(entry.data) for entry in entries
        )
        assert set(self.hub.backlogs) == {entry.agent_id for entry in entries}, (
            "an empty backlog is forgotten"
        )


TestStreams = StreamMachine.TestCase
TestStreams.settings = settings(max_examples=80, stateful_step_count=40)


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


def test_an_event_is_the_ticket_and_on_a_shared_stream_names_its_agent():
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


def test_what_the_connection_did_not_take_is_not_streamed(monkeypatch):
    hub, outbox, stream = open_stream()
    stream.add_everything(0)
    catch_up(hub, stream)
    entry = make_entry(1)
    monkeypatch.setattr(outbox, "write", lambda data: False)
    publish(hub, entry)
    assert not entry.streamed_ms


def test_agents_that_come_and_go_leave_nothing_on_the_stream():
    """Names are free to invent: a supervisor with a new worker every minute keeps its stream for months."""
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


def test_what_waits_unacknowledged_is_remembered_however_many_agents_come_and_go():
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
    assert outbox.seqs == list(range(1, 1500)), "none twice"


def test_catching_up_costs_what_it_sends(monkeypatch):
    """However many agents have a backlog: it reads for each ticket, and for each agent at first."""
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
        assert len(reads) <= 2 * 10 + 1, "a stream that was full for a while goes on where it was"
        for entry in hub.everything.read_after(5000, 100):
            hub.withdraw(entry)


def counting(read_after, found):
    def read(backlog, seq, limit):
        entries = read_after(backlog, seq, limit)
        found.append(len(entries))
        return entries

    return read


def test_streams_that_are_behind_share_a_turn():
    """Ten readers of a long backlog: a turn sends for its time only, and each gets its share."""
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


def test_fan_out_to_thousands_of_streams_is_done_in_turns():
    """What a turn has no time for comes in the next ones, in order; `streamed` means written."""
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
