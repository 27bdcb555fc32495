"""The sweep of timed connections: all of them, a few in a turn of the loop."""

from __future__ import annotations

import asyncio

from virtual_clock import run

from bridge.broker.fronts.sweep import ENDS, LOOKS, REST, Sweep
from broker.seams import HandClock


class Connection:
    def __init__(self, is_overdue: bool, swept: list) -> None:
        self.is_overdue, self.swept = is_overdue, swept

    def sweep(self, now: float) -> bool:
        self.swept.append(self)
        return self.is_overdue


def sweep_of(loop, overdue: list[bool]):
    swept: list = []
    sweep = Sweep(loop, HandClock().clock())
    connections = [Connection(each, swept) for each in overdue]
    sweep.begin(connections)
    return sweep, connections, swept


def test_a_turn_ends_a_few_connections_and_the_next_turns_the_rest():
    async def scenario(loop):
        sweep, connections, swept = sweep_of(loop, [True] * (3 * ENDS + 1))
        assert len(swept) == ENDS
        sweep.begin(connections)
        assert len(swept) == ENDS, "the first sweep is still under way"
        await asyncio.sleep(10 * REST)
        assert len(swept) == len(set(swept)) == len(connections)
        sweep.begin(connections)
        assert len(swept) == len(connections) + ENDS

    run(scenario)


def test_a_turn_looks_at_a_bounded_number_of_connections():
    async def scenario(loop):
        _, connections, swept = sweep_of(loop, [False] * (2 * LOOKS + 1))
        assert len(swept) == LOOKS
        await asyncio.sleep(10 * REST)
        assert len(swept) == len(set(swept)) == len(connections)

    run(scenario)


def test_a_connection_that_fails_does_not_end_the_sweep():
    async def scenario(loop):
        errors = []
        loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        swept: list = []
        connections = [Connection(True, swept) for _ in range(3 * ENDS)]
        connections[ENDS].sweep = lambda now: 1 // 0
        Sweep(loop, HandClock().clock()).begin(connections)
        await asyncio.sleep(10 * REST)
        assert len(swept) == len(connections) - 1
        assert [type(each) for each in errors] == [ZeroDivisionError]

    run(scenario)
