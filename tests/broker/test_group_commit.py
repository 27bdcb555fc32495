"""When a group goes to the writer: which turns of the loop it waits for, and which it does not."""

from __future__ import annotations

import asyncio

import pytest

from bridge.broker.journal.base import Record
from bridge.broker.journal.group_commit import FULL, GROWTH_TURNS, GroupCommit


class Turns:
    """A GroupCommit whose writer only notes the groups. Rows are numbers."""

    def __init__(self) -> None:
        self.sent = []
        self.groups = GroupCommit(asyncio.get_running_loop(), self.sent.append)

    def add(self, *rows: int):
        group = self.groups.joined()
        group.add(Record(births=rows))
        return group.commit

    async def turn(self) -> list[list[int]]:
        """Run one turn of the loop. Return the rows of the groups that have gone."""
        await asyncio.sleep(0)
        return [group.births for group in self.sent]


def run(scenario) -> None:
    async def main():
        await scenario(Turns())

    asyncio.run(main())


def test_a_row_alone_goes_at_the_end_of_its_own_turn():
    async def scenario(turns):
        turns.add(1)
        assert await turns.turn() == [[1]]

    run(scenario)


def test_a_group_goes_after_the_first_turn_that_brings_it_no_rows():
    async def scenario(turns):
        turns.add(1, 2)
        assert await turns.turn() == []
        turns.add(3)
        assert await turns.turn() == []
        assert await turns.turn() == [[1, 2, 3]]

    run(scenario)


def test_a_group_that_grows_in_every_turn_goes_after_a_fixed_number_of_them():
    async def scenario(turns):
        turns.add(0, 0)
        for row in range(1, GROWTH_TURNS + 1):
            assert await turns.turn() == []
            turns.add(row)
        (group,) = await turns.turn()
        assert group == [0, 0, *range(1, GROWTH_TURNS + 1)]

    run(scenario)


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_that_came_during_a_write_go_after_it_with_those_of_the_same_turn(rows):
    async def scenario(turns):
        turns.add(-1)
        await turns.turn()
        later = turns.add(*range(rows))
        assert await turns.turn() == [[-1]], "one group is with the writer at a time"
        turns.groups.written(turns.sent[0], None)
        assert turns.add(rows) is later, "the group is still open in this turn"
        await turns.turn()
        assert (await turns.turn())[1:] == [list(range(rows + 1))]

    run(scenario)


def test_a_full_group_goes_at_once_and_does_not_take_later_rows_of_its_turn():
    async def scenario(turns):
        first = turns.add(*range(FULL))
        assert turns.sent == []
        later = turns.add(FULL)
        assert later is not first
        assert [group.births for group in turns.sent] == [list(range(FULL))]
        await turns.turn()
        assert len(turns.sent) == 1, "one group is with the writer at a time"

    run(scenario)


def test_a_full_group_goes_before_the_answers_to_the_one_that_was_written():
    async def scenario(turns):
        done = turns.add(0)
        await turns.turn()
        turns.add(*range(FULL))
        seen = []
        done.add_done_callback(lambda commit: seen.append(len(turns.sent)))
        turns.groups.written(turns.sent[0], None)
        assert seen == [2]

    run(scenario)


def test_the_rows_after_a_failure_wait_for_their_own_turn_only():
    async def scenario(turns):
        turns.add(1)
        await turns.turn()
        turns.add(2)
        turns.groups.fail(None)
        turns.add(3)
        assert await turns.turn() == [[1], [3]]

    run(scenario)
