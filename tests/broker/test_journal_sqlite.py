"""The store on a real disk: what was answered is there after reopening, whole groups or none of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time

import pytest
from fakes import wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.broker.entry import NEW
from bridge.broker.journal.sqlite import WAL_MAX, SqliteJournal
from bridge.broker.journal.writer import CHUNK, PRUNE_ROWS, PRUNE_SIZE
from bridge.broker.transitions import acknowledged, claimed, expired, replied
from bridge.errors import StoreBusy
from broker.seams import WALL_MS
from broker.stores import NOW, change_of, entry_of, load, looks, row, with_store


@pytest.mark.parametrize(
    "count", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3, 1000]
)
def test_a_group_of_any_size_is_one_commit(tmp_path, count):
    async def scenario(journal):
        commits = {journal.accept(row(seq)) for seq in range(1, count + 1)}
        assert len(commits) == 1 and await commits.pop() is None
        assert (journal.commits().sizes.count, journal.commits().sizes.total) == (1, count)

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert [each.seq for each in kept.pending] == list(
        range(1, count + 1)
    ) and kept.last_seq == count


def test_what_comes_while_a_group_is_written_goes_into_the_next_one(tmp_path):
    async def scenario(journal):
        first = journal.accept(row(1))
        await asyncio.sleep(0)  # it has left
        later = journal.accept(row(2))
        changed = journal.change(change_of(entry_of(row(2)), acknowledged(NEW, "w", {}, WALL_MS)))
        assert changed is later is not first
        assert await first is None and await later is None
        assert journal.commits().durations.count == 2

    with_store(tmp_path / "a.db", scenario)


def test_the_first_row_that_finds_the_writer_idle_sends_what_is_open_ahead(tmp_path):
    """A busy turn of the loop: the group before is on disk, and nobody has heard of it yet. What belongs together is not torn."""

    async def scenario(journal):
        commits = [journal.accept(row(1))]
        await asyncio.sleep(0)  # it has left
        for seq in range(2, 2000):
            commits.append(journal.accept(row(seq)))
            assert (
                journal.change(change_of(entry_of(row(seq)), acknowledged(NEW, "w", {}, WALL_MS)))
                is commits[-1]
            )
            time.sleep(0.001)  # the loop does something else
            if len(dict.fromkeys(commits)) >= 4:
                break
        groups = list(dict.fromkeys(commits))
        assert len(groups) >= 4 and commits == sorted(commits, key=groups.index), (
            "in their order, and more than one turn would send"
        )
        assert [await commit for commit in commits] == [None] * len(commits)
        return len(commits)

    count = with_store(tmp_path / "a.db", scenario)

    async def find(journal):
        return [journal.find(f"t{seq}").state.status for seq in range(2, count + 1)]

    assert with_store(tmp_path / "a.db", find) == ["delivered"] * (count - 1)


@pytest.mark.parametrize("count", [2, CHUNK + 5])
def test_a_group_that_fails_leaves_nothing_and_the_next_one_is_kept(tmp_path, count):
    """One row too many of an id: none of the group is on disk, of whatever kind."""

    async def scenario(journal):
        assert await journal.accept(row(1)) is None
        for seq in range(2, count + 1):
            journal.accept(row(seq))
        journal.put_agent("lucy", "{}")
        journal.change(change_of(entry_of(row(1)), acknowledged(NEW, "w", {}, WALL_MS)))
        error = await journal.accept(row(5000)._replace(ticket_id="t1"))
        assert isinstance(error, StoreBusy) and "cannot be written" in str(error)
        assert await journal.accept(row(6000)) is None

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (
        [each.seq for each in kept.pending] == [1, 6000]
        and kept.agents == []
        and kept.last_seq == 6000
    )


def test_what_was_decided_on_top_of_a_group_that_fails_fails_with_it(tmp_path):
    """On its way, or open when the loop hears of the failure. What comes after that is kept."""

    async def scenario():
        journal = SqliteJournal(str(tmp_path / "a.db"), start=lambda writer: None)
        entry = entry_of(row(1))
        journal.accept(row(1))
        await asyncio.sleep(0)
        journal.writer.take()
        await asyncio.sleep(0)
        answers = []
        reply = replied(NEW, "lost", {}, WALL_MS)
        first = journal.change(change_of(entry, reply))
        first.add_done_callback(
            lambda commit: answers.append((first.result(), second.is_done, third.is_done))
        )
        journal._groups.leave()
        second = journal.change(change_of(entry, acknowledged(reply, "w", {}, WALL_MS)))
        journal._groups.leave()
        third = journal.put_agent("lucy", "{}")
        journal.writer._connection.execute("PRAGMA query_only = 1")
        journal.writer.take()
        journal.writer._connection.execute("PRAGMA query_only = 0")
        journal.writer.take()
        await asyncio.sleep(0)
        assert isinstance(first.result(), StoreBusy)
        assert first.result() is second.result() is third.result()
        assert answers == [(first.result(), True, True)], "what failed is undone before any answer"
        assert journal.find("t1").state.status == "pending"
        assert journal.commits().failures == 3
        journal.writer.start()
        assert await journal.change(change_of(entry, acknowledged(NEW, "w", {}, WALL_MS))) is None
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
def test_what_is_loaded_is_what_was_in_memory(tmp_path_factory, tickets):
    """Any history of any payload: state, claim, stages and order are the same after a restart."""
    path = tmp_path_factory.mktemp("s") / "a.db"
    entries = []

    async def scenario(journal):
        for seq, (history, payload) in enumerate(tickets, 1):
            accepted = row(seq, payload=payload)
            entry = entry_of(accepted)
            entries.append(entry)
            journal.accept(accepted)
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
                await journal.change(change_of(entry, state))
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


def test_a_time_to_live_and_a_lease_go_on_after_a_restart(tmp_path):
    async def scenario(journal):
        entry = entry_of(row(1, ttl_ms=10000))
        journal.accept(row(1, ttl_ms=10000))
        await journal.change(change_of(entry, claimed(NEW, "w", 60000, 0.0, WALL_MS)))

    with_store(tmp_path / "a.db", scenario)

    async def later(journal):
        (entry,) = journal.load(WALL_MS + 4000, NOW).pending
        assert entry.expires_at == pytest.approx(
            NOW + 6.001
        ) and entry.state.claim.until == pytest.approx(NOW + 56)
        (entry,) = journal.load(WALL_MS + 10**6, NOW).pending
        assert entry.expires_at < NOW and entry.state.claim.until == NOW

    with_store(tmp_path / "a.db", later)


def test_seqs_are_never_used_again(tmp_path):
    """Also when the newest tickets were pruned before the restart."""
    total = PRUNE_ROWS * 2 + 7

    async def scenario(journal):
        for seq in range(1, total + 1):
            accepted = row(seq)
            journal.accept(accepted)
            if seq > 3:
                journal.change(
                    change_of(
                        entry_of(accepted),
                        acknowledged(NEW, "", {}, WALL_MS + (0 if seq < total else 10)),
                    )
                )
        await journal.flush()
        journal.prune(
            WALL_MS + 10
        )  # all finished before then, in steps; the last one was finished at that very time
        await wait_for(lambda: journal.find(f"t{total - 1}") is None, "the prune")
        assert await journal.accept(row(total + 1)) is None
        assert journal.find(f"t{total}") is not None
        await wait_for(lambda: journal._pruning.is_done, "the end of the prune")
        journal.prune(WALL_MS + 11)
        await wait_for(lambda: journal.find(f"t{total}") is None, "the last step")

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert [each.seq for each in kept.pending] == [1, 2, 3, total + 1], (
        "what is pending is never pruned"
    )
    assert kept.last_seq == total + 1


def test_the_last_seq_is_kept_when_no_ticket_is_left(tmp_path):
    async def scenario(journal):
        for seq in (1, 2):
            journal.accept(row(seq))
            journal.change(change_of(entry_of(row(seq)), acknowledged(NEW, "", {}, WALL_MS)))
        await journal.flush()
        journal.prune(WALL_MS + 1)
        await wait_for(lambda: journal.find("t2") is None, "the prune")

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (kept.pending, kept.last_seq) == ([], 2)


def test_pruning_goes_in_steps_of_so_many_bytes_and_lets_the_groups_between_them(tmp_path):
    """Each step by hand. A ticket that is larger than a step is one of its own."""
    sizes = [10] * 40 + [PRUNE_SIZE * 2, PRUNE_SIZE * 3] + [PRUNE_SIZE // 4] * 12 + [10] * 40

    async def scenario():
        journal = SqliteJournal(str(tmp_path / "a.db"), start=lambda writer: None)
        for seq, size in enumerate(sizes, 1):
            journal.accept(row(seq, payload="x" * size))
            journal.change(change_of(entry_of(row(seq)), acknowledged(NEW, "", {}, WALL_MS)))
        await asyncio.sleep(0)
        journal.writer.take()
        journal.prune(WALL_MS + 1)
        journal.prune(WALL_MS + 1)
        assert journal.writer._jobs.qsize() == 1, "one at a time"
        left, steps = len(sizes), []
        while not journal.writer._jobs.empty():
            commit = journal.accept(row(1000 + len(steps)))
            await asyncio.sleep(0)
            journal.writer.take()
            journal.writer.take()
            await asyncio.sleep(0)
            assert commit.is_done and commit.result() is None, "a group waits for one step at most"
            counted = journal._reader.execute("SELECT count(*) FROM tickets WHERE seq < 1000")
            (now,) = counted.fetchone()
            steps.append(sizes[len(sizes) - left : len(sizes) - now])
            left = now
        assert left == 0 and sum(map(len, steps)) == len(sizes)
        for step in steps:
            assert sum(step[:-1]) < PRUNE_SIZE and len(step) <= PRUNE_ROWS
        assert len(steps) < len(sizes), "and small ones go together"
        journal.writer.start()
        await journal.aclose()

    asyncio.run(scenario())


def test_pruning_overtakes_no_change_that_was_decided_before(tmp_path):
    async def scenario(journal):
        entry = entry_of(row(1))
        journal.accept(row(1))
        entry.state = acknowledged(NEW, "", {}, WALL_MS)
        await journal.change(change_of(entry, entry.state))
        commit = journal.change(change_of(entry, replied(entry.state, "late", {}, WALL_MS + 5000)))
        journal.prune(WALL_MS + 1000)
        assert await commit is None
        await wait_for(lambda: journal._pruning.is_done, "the end of the prune")
        assert journal.find("t1").state.response["payload"] == "late"

    with_store(tmp_path / "a.db", scenario)


def test_a_change_of_a_ticket_that_is_not_there_is_no_success(tmp_path):
    async def scenario(journal):
        assert await journal.accept(row(1)) is None
        connection = sqlite3.connect(journal.path)
        connection.execute("DELETE FROM tickets")
        connection.commit()
        connection.close()
        change = change_of(entry_of(row(1)), acknowledged(NEW, "", {}, WALL_MS))
        error = await journal.change(change)
        assert isinstance(error, StoreBusy) and "not in the store" in str(error)
        assert await journal.accept(row(2)) is None

    with_store(tmp_path / "a.db", scenario)


def test_the_wal_is_small_again_after_a_large_group(tmp_path):
    async def scenario(journal):
        for seq in range(1, 41):
            journal.accept(row(seq, payload="x" * (1 << 20)))
        await journal.flush()
        wal = tmp_path / "a.db-wal"
        assert wal.stat().st_size > 2 * WAL_MAX
        for seq in range(41, 44):
            assert await journal.accept(row(seq)) is None
        assert wal.stat().st_size <= WAL_MAX

    with_store(tmp_path / "a.db", scenario)


def test_agents_and_subscriptions_come_back(tmp_path):
    async def scenario(journal):
        for agent in ("ann", 'b"ob', "cyd"):
            journal.put_agent(agent, json.dumps({"agentId": agent}))
        journal.put_agent("cyd", None)
        journal.put_agent("ann", json.dumps({"agentId": "ann", "type": "new"}))
        journal.put_subscription("sup", "ann", 3)
        journal.put_subscription("sup", "bob", 4)
        journal.put_subscription("sup", "ann", 5)
        journal.put_subscription("sup", "bob", None)
        assert await journal.put_subscription("other", "ann", 0) is None

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (
        sorted(each["agentId"] for each in kept.agents) == ["ann", 'b"ob']
        and {"agentId": "ann", "type": "new"} in kept.agents
    )
    assert sorted(map(tuple, kept.subscriptions)) == [("other", "ann", 0), ("sup", "ann", 5)]
