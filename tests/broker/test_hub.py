"""Fan-out is atomic.

A subscriber that joins between two commit groups gets each ticket once. A long-poll is woken once
per group.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.seams import PacedHub, make_entry

AGENTS = st.sampled_from(["ann", "bob"])


class ListSubscriber:
    was_live = True

    def __init__(self) -> None:
        self.offered = []

    def offer(self, entry) -> None:
        self.offered.append(entry.seq)


@given(st.lists(st.lists(AGENTS, min_size=1, max_size=5), max_size=6), st.integers(0, 6))
def test_subscribe_and_read_in_one_step_leave_no_gap_and_no_duplicate(groups, joins_at):
    hub, seq, subscriber, got, of_ann = PacedHub(), 0, ListSubscriber(), [], []
    for number, group in enumerate([*groups, []]):
        if number == min(joins_at, len(groups)):
            hub.subscribe("ann", subscriber)
            got = [entry.seq for entry in hub.read("ann", 0, 1000)]
        entries = []
        for agent in group:
            seq += 1
            entries.append(make_entry(seq, agent))
            hub.backlog(agent)
            of_ann += [seq] if agent == "ann" else []
        hub.publish(entries)
    assert got + subscriber.offered == of_ann


@given(st.lists(AGENTS, min_size=1, max_size=6))
def test_a_long_poll_is_woken_once_and_reads_the_whole_group(group):
    hub, woken = PacedHub(), []
    hub.polls.wait("ann", lambda: woken.append([entry.seq for entry in hub.read("ann", 0, 100)]))
    entries = [make_entry(seq, agent) for seq, agent in enumerate(group, 1)]
    for agent in group:
        hub.backlog(agent)
    hub.publish(entries)
    its = [seq for seq, agent in enumerate(group, 1) if agent == "ann"]
    assert woken == ([its] if its else [])


def test_a_ticket_that_is_withdrawn_twice_counts_once():
    hub, entry, other = PacedHub(), make_entry(1, data=b"12345"), make_entry(2)
    hub.backlog("lucy")
    hub.publish([entry, other])
    hub.withdraw(entry)
    hub.withdraw(entry)
    assert (hub.pending, hub.pending_bytes) == (1, 2)
    hub.withdraw(other)
    assert (hub.pending, hub.pending_bytes, hub.backlogs) == (0, 0, {})


def test_a_backlog_with_reserved_places_is_kept():
    hub = PacedHub()
    hub.backlog("lucy").reserved = 1
    hub.release(hub.backlog("lucy"))
    assert "lucy" in hub.backlogs
    hub.backlog("lucy").reserved = 0
    hub.release(hub.backlog("lucy"))
    assert not hub.backlogs


def test_unsubscribing_an_unknown_subscriber_has_no_effect():
    hub, subscriber = PacedHub(), ListSubscriber()
    hub.unsubscribe("ann", subscriber)
    hub.unsubscribe_everything(subscriber)
    hub.subscribe("ann", subscriber)
    hub.unsubscribe("ann", subscriber)
    assert hub.streams("ann") == 0 and not hub._streams
