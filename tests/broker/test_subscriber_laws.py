"""Streams against a naive model: which tickets must be sent on a connection, and which may be.

    must    pending, of a carried agent, after the cursor or owed    all of them, once all is read
    may     all that the connection was ever entitled to             nothing else, ever

On each connection, no ticket is sent twice, all are in order of seq, and each was pending when it
was sent. If an agent is added late, its backlog comes first.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bridge.broker import pace as pace_module
from bridge.broker import subscriber as subscriber_module
from bridge.broker.metrics.counters import Metrics
from bridge.broker.subscriber import StreamSubscriber
from broker.seams import BoundedOutbox, PacedHub, make_entry

AGENTS = ["ann", "bob", "cyd"]
agents = st.sampled_from(AGENTS)


class Line:
    """One open stream and what its peer has received."""

    def __init__(self, hub, limit, is_shared, after, clock, metrics) -> None:
        self.outbox = BoundedOutbox(limit)
        self.stream = StreamSubscriber(hub, clock, metrics, self.outbox, is_shared, after)
        self.after, self.carried, self.is_everything = after, set(), False
        self.must, self.may, self.seen = set(), set(), []
        self.late = [0]  # how many tickets had been sent when an agent was added
        self.floor = {}  # agent -> seq up to which the cursor covers it

    def carries(self, agent) -> bool:
        return self.is_everything or agent in self.carried

    def read(self) -> None:
        """The peer reads. If the outbox was full, the front calls `catch_up`."""
        was_full = not self.outbox.has_room()
        self.outbox.read_all()
        if was_full:
            self.stream.catch_up()


class StreamMachine(RuleBasedStateMachine):
    lines = Bundle("lines")

    def __init__(self) -> None:
        super().__init__()
        self.kept = subscriber_module.STEP
        subscriber_module.STEP = 3  # so that small examples take several steps
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
        """Add an agent to an open stream: all its pending tickets are due, except those sent."""
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
        self.last += skipped  # the seqs of a failed group
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
        """Tickets are acknowledged, even while some streams are behind."""
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
        """Each read of the clock takes this share of a turn's time."""
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
            assert line.stream.is_live, "a stream is live again when all is read"

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
            "an empty backlog is removed"
        )


TestStreams = StreamMachine.TestCase
TestStreams.settings = settings(max_examples=80, stateful_step_count=40)
