"""Two streams in one order, for different orders of arrival."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.stream_merge import Interleaved
from bridge.settings import TailSettings


def order_of(steps, held: int = 10) -> str:
    """What is printed after these steps.

    A step is "T1" (a ticket's line), "a1" (its stage accepted), "s1" (a later stage), or "+"
    (half a second).
    """

    async def play() -> str:
        order, printed, now = Interleaved(TailSettings(stage_hold=500, stages_held=held)), [], 0.0
        for step in steps:
            if step == "+":
                now += 0.5
                order.release_due(now)
            elif step[0] == "T":
                order.ticket(step[1:], lambda step=step: printed.append(step))
            else:
                order.stage(step[1:], step[0] == "a", lambda step=step: printed.append(step), now)
        return " ".join(printed)

    return asyncio.run(play())


@pytest.mark.parametrize(
    "steps, printed",
    [
        ("T1 a1 s1", "T1 s1"),  # the line stands for "accepted"
        ("a1 s1 T1 s1", "T1 s1 s1"),  # the stages came first
        ("a1 a2 s2 s1 T1 T2", "T1 s1 T2 s2"),  # each ticket by itself
        ("s1 a2 + s2", "s1 a2 s2"),  # an older ticket; and one whose line never comes
        ("a1 + a2 s1 T2", "a1 s1 T2"),  # a late ticket does not delay the others
        ("a1 s1 + T1", "a1 s1 T1"),  # too late: printed twice rather than never
    ],
)
def test_order(steps, printed):
    assert order_of(steps.split()) == printed


def test_no_more_is_held_than_allowed():
    assert order_of(["a1", "a2", "a3"], held=2) == "a1"
    assert order_of(["T1", "T2", "T3", "a1", "a3"], held=2) == "T1 T2 T3", (
        "only two lines are remembered, so a1 waits for its line again"
    )


@given(st.lists(st.sampled_from(["T1", "T2", "a1", "a2", "s1", "s2", "+"]), max_size=20))
def test_no_later_stage_is_lost_and_none_comes_before_its_ticket(steps):
    printed = order_of([*steps, "+", "+"]).split()
    assert sorted(step for step in printed if step[0] in "Ts") == sorted(
        step for step in steps if step[0] in "Ts"
    )
    for number in "12":
        told = [step[0] for step in printed if step[1] == number]
        arrived = [step[0] for step in steps if step != "+" and step[1] == number]
        if arrived[:1] == ["a"]:
            assert told[0] in "Ta", "the ticket is printed first"


def test_run_releases_held_stages_in_time():
    async def play() -> None:
        order, printed = Interleaved(TailSettings(stage_hold=10)), asyncio.Event()
        job = asyncio.ensure_future(order.run())
        order.stage("1", True, printed.set, asyncio.get_running_loop().time() - 1)
        await asyncio.wait_for(printed.wait(), 20)
        job.cancel()

    asyncio.run(play())
