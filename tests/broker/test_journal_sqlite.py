"""The SQLite store on a real disk.

Rows of a successful commit are there after reopening. A commit group is kept whole or not at all.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.broker.entry import NEW
from bridge.broker.journal.base import Record, RegistrationRow
from bridge.broker.journal.sqlite import WAL_MAX, SqliteJournal
from bridge.broker.journal.writer import CHUNK
from bridge.broker.transitions import acknowledged, claimed, expired, replied
from bridge.errors import StoreBusy
from broker.seams import WALL_MS
from broker.stores import (
    NOW,
    accept,
    accept_all,
    change,
    change_of,
    entry_of,
    load,
    looks,
    put_agent,
    put_subscription,
    row,
    with_store,
)


@pytest.mark.parametrize(
    "count", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3, 1000]
)
def test_a_group_of_any_size_is_one_commit(tmp_path, count):
    async def scenario(journal):
        commit = accept_all(journal, (row(seq) for seq in range(1, count + 1)))
        assert await commit is None
        assert (journal.commits().sizes.count, journal.commits().sizes.total) == (1, count)

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert [each.seq for each in kept.pending] == list(
        range(1, count + 1)
    ) and kept.last_seq == count


def test_rows_that_come_while_a_group_is_written_join_the_next_one(tmp_path):
    async def scenario(journal):
        write, may_write = journal.writer._write, threading.Event()
        journal.writer._write = lambda group: may_write.wait() and write(group)
        first = accept(journal, row(1))
        await asyncio.sleep(0)  # the group is with the writer
        later = accept(journal, row(2))
        changed = change(journal, change_of(entry_of(row(2)), acknowledged(NEW, "w", {}, WALL_MS)))
        assert changed is later is not first
        may_write.set()
        assert await first is None and await later is None
        assert journal.commits().durations.count == 2

    with_store(tmp_path / "a.db", scenario)


@pytest.mark.parametrize("count", [2, CHUNK + 5])
def test_a_failed_group_leaves_no_rows_and_the_next_one_is_kept(tmp_path, count):
    """A duplicate id makes the group fail. Then no row of any table is on disk."""

    async def scenario(journal):
        assert await accept(journal, row(1)) is None
        births = [*(row(seq) for seq in range(2, count + 1)), row(5000)._replace(ticket_id="t1")]
        changes = [change_of(entry_of(row(1)), acknowledged(NEW, "w", {}, WALL_MS))]
        agents = [RegistrationRow("lucy", "{}")]
        error = await journal.propose(Record(births, changes, agents))
        assert isinstance(error, StoreBusy) and "cannot be written" in str(error)
        assert await accept(journal, row(6000)) is None

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (
        [each.seq for each in kept.pending] == [1, 6000]
        and kept.agents == []
        and kept.last_seq == 6000
    )


def test_changes_that_rest_on_a_failed_group_fail_with_it(tmp_path):
    """Groups that are with the writer or open when the loop learns of the failure fail too.

    Later groups are kept.
    """

    async def scenario():
        journal = SqliteJournal(str(tmp_path / "a.db"), start=lambda writer: None)
        entry = entry_of(row(1))
        accept(journal, row(1))
        await asyncio.sleep(0)
        journal.writer.take()
        await asyncio.sleep(0)
        answers = []
        reply = replied(NEW, "lost", {}, WALL_MS)
        first = change(journal, change_of(entry, reply))
        first.add_done_callback(
            lambda commit: answers.append((first.result(), second.is_done, third.is_done))
        )
        journal._groups.leave()
        second = change(journal, change_of(entry, acknowledged(reply, "w", {}, WALL_MS)))
        journal._groups.leave()
        third = put_agent(journal, "lucy", "{}")
        journal.writer._connection.execute("PRAGMA query_only = 1")
        journal.writer.take()
        journal.writer._connection.execute("PRAGMA query_only = 0")
        journal.writer.take()
        await asyncio.sleep(0)
        assert isinstance(first.result(), StoreBusy)
        assert first.result() is second.result() is third.result()
        assert answers == [(first.result(), True, True)], "all are undone before any response"
        assert journal.find("t1").state.status == "pending"
        assert journal.commits().failures == 3
        journal.writer.start()
        assert await change(journal, change_of(entry, acknowledged(NEW, "w", {}, WALL_MS))) is None
        found = journal.find("t1")
        assert found.state.status == "delivered" and found.state.response is None
        await journal.aclose()

    asyncio.run(scenario())


json_values = st.recursive(
    st.none()
    | st.integers(-99, 99)
    | st.text(alphabet=st.characters(blacklist_categories=()), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)
histories = st.lists(
    st.sampled_from(["claim", "claim-short", "acknowledge", "reply", "expire", "stream"]),
    max_size=5,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(histories, json_values), min_size=1, max_size=6))
def test_load_restores_what_was_in_memory(tmp_path_factory, tickets):
    """For any history and any payload: state, claim, stages and order survive a restart."""
    path = tmp_path_factory.mktemp("s") / "a.db"
    entries = []

    async def scenario(journal):
        for seq, (history, payload) in enumerate(tickets, 1):
            accepted = row(seq, payload=payload)
            entry = entry_of(accepted)
            entries.append(entry)
            accept(journal, accepted)
            for step, verb in enumerate(history):
                state, at = entry.state, WALL_MS + step
                if verb == "stream":
                    entry.mark_streamed(at, "sse")
                elif verb == "reply" and state.response is None and state.status != "expired":
                    state = replied(state, payload, {"k": payload}, at)
                elif verb.startswith("claim") and not state.is_final:
                    state = claimed(state, "w", 60000, NOW, WALL_MS)
                elif verb == "acknowledge" and not state.is_final:
                    state = acknowledged(state, "w", {"how": payload}, at)
                elif verb == "expire" and not state.is_final:
                    state = expired(state, at)
                entry.state = state
                await change(journal, change_of(entry, state))
        await journal.flush()

    with_store(path, scenario)

    async def again(journal):
        kept = journal.load(WALL_MS, NOW)
        assert [looks(each) for each in kept.pending] == [
            looks(each) for each in entries if not each.state.is_final
        ]
        for entry in entries:
            found = journal.find(entry.ticket_id)
            if entry.state.is_final:
                assert looks(found) == looks(entry)
            assert found.is_born and found.state.status == entry.state.status
        assert journal.find("nobody") is None and journal.find("'; DROP TABLE tickets; --") is None

    with_store(path, again)


def test_a_time_to_live_and_a_lease_continue_after_a_restart(tmp_path):
    async def scenario(journal):
        entry = entry_of(row(1, ttl_ms=10000))
        accept(journal, row(1, ttl_ms=10000))
        await change(journal, change_of(entry, claimed(NEW, "w", 60000, 0.0, WALL_MS)))

    with_store(tmp_path / "a.db", scenario)

    async def later(journal):
        (entry,) = journal.load(WALL_MS + 4000, NOW).pending
        assert entry.expires_at == pytest.approx(
            NOW + 6.001
        ) and entry.state.claim.until == pytest.approx(NOW + 56)
        (entry,) = journal.load(WALL_MS + 10**6, NOW).pending
        assert entry.expires_at < NOW and entry.state.claim.until == NOW

    with_store(tmp_path / "a.db", later)


def test_a_change_of_a_missing_ticket_fails(tmp_path):
    async def scenario(journal):
        assert await accept(journal, row(1)) is None
        connection = sqlite3.connect(journal.path)
        connection.execute("DELETE FROM tickets")
        connection.commit()
        connection.close()
        acknowledgement = change_of(entry_of(row(1)), acknowledged(NEW, "", {}, WALL_MS))
        error = await change(journal, acknowledgement)
        assert isinstance(error, StoreBusy) and "not in the store" in str(error)
        assert await accept(journal, row(2)) is None

    with_store(tmp_path / "a.db", scenario)


def test_the_wal_is_small_again_after_a_large_group(tmp_path):
    async def scenario(journal):
        large = "x" * (1 << 20)
        assert await accept_all(journal, (row(seq, payload=large) for seq in range(1, 41))) is None
        wal = tmp_path / "a.db-wal"
        assert wal.stat().st_size > 2 * WAL_MAX
        for seq in range(41, 44):
            assert await accept(journal, row(seq)) is None
        assert wal.stat().st_size <= WAL_MAX

    with_store(tmp_path / "a.db", scenario)


def test_agents_and_subscriptions_survive_a_restart(tmp_path):
    async def scenario(journal):
        for agent in ("ann", 'b"ob', "cyd"):
            put_agent(journal, agent, json.dumps({"agentId": agent}))
        put_agent(journal, "cyd", None)
        put_agent(journal, "ann", json.dumps({"agentId": "ann", "type": "new"}))
        put_subscription(journal, "sup", "ann", 3)
        put_subscription(journal, "sup", "bob", 4)
        put_subscription(journal, "sup", "ann", 5)
        put_subscription(journal, "sup", "bob", None)
        assert await put_subscription(journal, "other", "ann", 0) is None

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (
        sorted(each["agentId"] for each in kept.agents) == ["ann", 'b"ob']
        and {"agentId": "ann", "type": "new"} in kept.agents
    )
    assert sorted(map(tuple, kept.subscriptions)) == [("other", "ann", 0), ("sup", "ann", 5)]
