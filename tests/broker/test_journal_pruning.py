"""Pruning of finished tickets from the SQLite store: in bounded steps between the commit groups."""

from __future__ import annotations

import asyncio

from fakes import wait_for

from bridge.broker.entry import NEW
from bridge.broker.journal.base import Record
from bridge.broker.journal.sqlite import SqliteJournal
from bridge.broker.journal.writer import PRUNE_ROWS, PRUNE_SIZE
from bridge.broker.transitions import acknowledged, replied
from broker.seams import WALL_MS
from broker.stores import accept, change, change_of, entry_of, load, row, with_store


def test_a_seq_is_never_used_again(tmp_path):
    """Not even if the newest tickets were pruned before the restart."""
    total = PRUNE_ROWS * 2 + 7

    async def scenario(journal):
        for seq in range(1, total + 1):
            accepted = row(seq)
            accept(journal, accepted)
            if seq > 3:
                change(
                    journal,
                    change_of(
                        entry_of(accepted),
                        acknowledged(NEW, "", {}, WALL_MS + (0 if seq < total else 10)),
                    ),
                )
        await journal.flush()
        # In steps, prune all tickets that finished before. The last one finished at this time.
        journal.prune(WALL_MS + 10)
        await wait_for(lambda: journal.find(f"t{total - 1}") is None, "the prune")
        assert await accept(journal, row(total + 1)) is None
        assert journal.find(f"t{total}") is not None
        await wait_for(lambda: journal._pruning.is_done, "the end of the prune")
        journal.prune(WALL_MS + 11)
        await wait_for(lambda: journal.find(f"t{total}") is None, "the last step")

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert [each.seq for each in kept.pending] == [1, 2, 3, total + 1], (
        "pending tickets are never pruned"
    )
    assert kept.last_seq == total + 1


def test_pruning_is_in_steps_of_bounded_bytes_with_commit_groups_in_between(tmp_path):
    """The test runs each step. A ticket that is larger than a step gets its own step."""
    sizes = [10] * 40 + [PRUNE_SIZE * 2, PRUNE_SIZE * 3] + [PRUNE_SIZE // 4] * 12 + [10] * 40

    async def scenario():
        journal = SqliteJournal(str(tmp_path / "a.db"), start=lambda writer: None)
        rows = [row(seq, payload="x" * size) for seq, size in enumerate(sizes, 1)]
        done = [change_of(entry_of(each), acknowledged(NEW, "", {}, WALL_MS)) for each in rows]
        journal.propose(Record(rows, done))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # this turn brought no more rows, so the group has gone
        journal.writer.take()
        await asyncio.sleep(0)  # its completion is heard
        journal.prune(WALL_MS + 1)
        journal.prune(WALL_MS + 1)
        assert journal.writer._jobs.qsize() == 1, "one at a time"
        left, steps = len(sizes), []
        while not journal.writer._jobs.empty():
            commit = accept(journal, row(1000 + len(steps)))
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
        assert len(steps) < len(sizes), "small tickets share a step"
        journal.writer.start()
        await journal.aclose()

    asyncio.run(scenario())


def test_pruning_does_not_overtake_an_earlier_change(tmp_path):
    async def scenario(journal):
        entry = entry_of(row(1))
        accept(journal, row(1))
        entry.state = acknowledged(NEW, "", {}, WALL_MS)
        await change(journal, change_of(entry, entry.state))
        commit = change(journal, change_of(entry, replied(entry.state, "late", {}, WALL_MS + 5000)))
        journal.prune(WALL_MS + 1000)
        assert await commit is None
        await wait_for(lambda: journal._pruning.is_done, "the end of the prune")
        assert journal.find("t1").state.response["payload"] == "late"

    with_store(tmp_path / "a.db", scenario)


def test_the_last_seq_is_kept_when_no_ticket_is_left(tmp_path):
    async def scenario(journal):
        for seq in (1, 2):
            accept(journal, row(seq))
            change(journal, change_of(entry_of(row(seq)), acknowledged(NEW, "", {}, WALL_MS)))
        await journal.flush()
        journal.prune(WALL_MS + 1)
        await wait_for(lambda: journal.find("t2") is None, "the prune")

    with_store(tmp_path / "a.db", scenario)
    kept = load(tmp_path / "a.db")
    assert (kept.pending, kept.last_seq) == ([], 2)
