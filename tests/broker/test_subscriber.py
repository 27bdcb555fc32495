"""Streams against a naive model: which tickets must have been sent on a connection, and which may have been.

    must    pending, of a carried agent, new to the cursor or owed      all of them, once all is read
    may     whatever the connection was ever entitled to                nothing else, ever

And always: no ticket twice on one connection, each agent's in order of seq, none that was not pending.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bridge.broker import subscriber as subscriber_module
from bridge.broker.hub import Hub
from bridge.broker.metrics import Metrics
from bridge.broker.subscriber import StreamSubscriber
from broker.seams import WALL_MS, BoundedOutbox, HandClock, make_entry

AGENTS = ["ann", "bob", "cyd"]
agents = st.sampled_from(AGENTS)


class Line:
    """One open stream, as its peer sees it."""

    def __init__(self, hub, limit, is_shared, after, clock, metrics) -> None:
        self.outbox = BoundedOutbox(limit)
        self.stream = StreamSubscriber(hub, clock, metrics, self.outbox, is_shared, after)
        self.after, self.carried, self.is_everything = after, set(), False
        self.must, self.may, self.seen = set(), set(), []
        self.floor = {}  # agent -> seq up to which the cursor spoke for it

    def carries(self, agent) -> bool:
        return self.is_everything or agent in self.carried

    def read(self) -> None:
        """The peer reads; its front says so if there had been no room."""
        was_full = not self.outbox.has_room()
        self.outbox.read_all()
        if was_full:
            self.stream.catch_up()

    def turn(self) -> None:
        steps, self.outbox.steps = self.outbox.steps, []
        for step in steps:
            step()


class StreamMachine(RuleBasedStateMachine):
    lines = Bundle("lines")

    def __init__(self) -> None:
        super().__init__()
        self.kept = subscriber_module.READ_LIMIT, subscriber_module.STEP_BYTES
        subscriber_module.READ_LIMIT, subscriber_module.STEP_BYTES = 3, 40  # so that small examples reach them
        self.hub, self.metrics, self.clock = Hub(), Metrics(), HandClock().clock()
        self.last, self.pending, self.agent_of, self.open = 0, {}, {}, []

    def teardown(self) -> None:
        self.read_everything()
        for line in self.open:
            line.stream.close()
        subscriber_module.READ_LIMIT, subscriber_module.STEP_BYTES = self.kept
        assert not self.hub._streams and not self.hub._everything, "a closed stream leaves nothing behind"

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
        line.must = {seq for seq, entry in self.pending.items() if entry.agent_id == agent and seq > line.after}
        line.may |= line.must
        line.stream.add(agent, 0)
        return self._attached(line)

    @rule(target=lines, limit=st.integers(1, 6), after=st.integers(0, 60), subscribed=st.dictionaries(agents, st.integers(0, 60)))
    def open_named(self, limit, after, subscribed):
        line = self._open(limit, True, after)
        line.carried = set(subscribed)
        for agent, owed in subscribed.items():
            line.floor[agent] = line.after
            line.must |= {seq for seq, entry in self.pending.items() if entry.agent_id == agent and (seq > line.after or seq <= owed)}
            line.stream.add(agent, owed)
        line.may |= line.must
        return self._attached(line)

    @rule(target=lines, limit=st.integers(1, 6), after=st.integers(0, 60))
    def open_everything(self, limit, after):
        line = self._open(limit, True, after)
        line.is_everything = True
        line.must = {seq for seq in self.pending if seq > line.after}
        line.may |= line.must
        line.stream.add_everything()
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
            backlog = {seq for seq, entry in self.pending.items() if entry.agent_id == agent} - set(line.outbox.seqs)
            line.may |= backlog
            line.must |= {seq for seq in backlog if seq > line.floor.get(agent, 0)}
        line.stream.add(agent, self.last)
        line.stream.catch_up()

    @rule(line=lines, agent=agents)
    def discard(self, line, agent):
        if not line.is_everything and line.stream._is_shared:
            line.carried.discard(agent)
            line.must -= {seq for seq in line.must if self.agent_of[seq] == agent}
            line.stream.discard(agent)

    # -- tickets ---------------------------------------------------------------

    @rule(group=st.lists(agents, min_size=1, max_size=8), size=st.integers(2, 30), skipped=st.integers(0, 2))
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

    @rule(line=lines)
    def turn(self, line):
        line.turn()

    @rule()
    def read_everything(self):
        for line in self.open:
            for _ in range(2 * self.last + 4):
                line.turn()
                line.read()
            line.turn()
            self.check(line)
            missing = (line.must & set(self.pending)) - set(line.outbox.seqs)
            assert not missing, f"lost: {sorted(missing)}"
            assert line.stream.is_live, "with all read, a stream is live again"

    # -- laws --------------------------------------------------------------------

    def check(self, line) -> None:
        seqs = line.outbox.seqs
        assert len(set(seqs)) == len(seqs), f"twice: {seqs}"
        assert set(seqs) <= line.may, f"not due: {sorted(set(seqs) - line.may)}"
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
        assert self.hub.pending == len(entries) and self.hub.pending_bytes == sum(len(entry.data) for entry in entries)
        assert set(self.hub.backlogs) == {entry.agent_id for entry in entries}, "an empty backlog is forgotten"


TestStreams = StreamMachine.TestCase
TestStreams.settings = settings(max_examples=80, stateful_step_count=40)


def open_stream(limit=100, is_shared=True, after=0, hub=None):
    hub = hub or Hub()
    outbox = BoundedOutbox(limit)
    return hub, outbox, StreamSubscriber(hub, HandClock().clock(), Metrics(), outbox, is_shared, after)


def publish(hub, *entries):
    for entry in entries:
        hub.backlog(entry.agent_id)
    hub.publish(entries)


def test_an_event_is_the_ticket_and_on_a_shared_stream_names_its_agent():
    hub, outbox, stream = open_stream()
    stream.add('an"n', 0)
    stream.catch_up()
    publish(hub, make_entry(7, 'an"n', b'{"a":1}'))
    hub, alone, single = open_stream(is_shared=False, hub=hub)
    single.add('an"n', 0)
    single.catch_up()
    (shared_event,), (event,) = outbox.events, alone.events
    assert (shared_event.event, shared_event.last_event_id, event.event, event.last_event_id) == ("ticket", "7", "ticket", "7")
    assert json.loads(shared_event.data) == {"agentId": 'an"n', "ticket": {"a": 1}} and event.data == '{"a":1}'


def test_the_first_stream_marks_the_ticket_as_streamed():
    hub, _, stream = open_stream()
    stream.add_everything()
    stream.catch_up()
    entry = make_entry(1)
    publish(hub, entry)
    assert (entry.streamed_ms, entry.streamed_by) == (WALL_MS, "sse")
    entry.mark_streamed(WALL_MS + 5, "poll")
    assert (entry.streamed_ms, entry.streamed_by) == (WALL_MS, "sse")


def test_agents_that_come_and_go_leave_nothing_on_the_stream():
    """Names are free to invent: a supervisor with a new worker every minute keeps its stream for months."""
    hub, outbox, stream = open_stream(limit=100000)
    stream.catch_up()
    for number in range(1, 5000):
        name = f"worker-{number}"
        stream.add(name, number - 1)
        stream.catch_up()
        publish(hub, make_entry(number, name))
        hub.withdraw(hub.read(name, 0, 1)[0])
        stream.discard(name)
    assert outbox.seqs == list(range(1, 5000))
    assert len(stream._left_at) < 1000 and not hub.backlogs and not hub._streams


def test_what_waits_unacknowledged_is_remembered_however_many_agents_come_and_go():
    hub, outbox, stream = open_stream(limit=100000)
    stream.catch_up()
    for number in range(1, 1500):
        stream.add(f"worker-{number}", number - 1)
        stream.catch_up()
        publish(hub, make_entry(number, f"worker-{number}"))
        stream.discard(f"worker-{number}")
    for number in range(1, 1500):
        stream.add(f"worker-{number}", 1500)
    stream.catch_up()
    assert outbox.seqs == list(range(1, 1500)), "none twice"
