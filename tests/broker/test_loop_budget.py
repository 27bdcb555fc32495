"""The time budget of one loop iteration: shared, spent by requests, refilled in the next one."""

from __future__ import annotations

import asyncio

from virtual_clock import run

from bridge.broker.fronts.loop_budget import BUDGET, CHEAP, REST, RESTS_END, LoopBudget
from broker.seams import HandClock


def make(loop):
    hand = HandClock()
    return hand, LoopBudget(loop, hand.clock())


def test_a_long_run_uses_up_the_budget_until_the_next_iteration():
    async def scenario(loop):
        hand, budget = make(loop)
        began = hand.now
        assert not budget.is_over(began)
        hand.advance(BUDGET * 2)
        assert budget.is_over(began)
        budget.spend(began)
        assert budget.is_used_up and budget.is_over(hand.now)
        await asyncio.sleep(0)
        assert not budget.is_used_up and not budget.is_over(hand.now)

    run(scenario)


def test_runs_of_one_iteration_add_up():
    async def scenario(loop):
        hand, budget = make(loop)
        for _ in range(3):
            began = hand.now
            hand.advance(BUDGET * 0.4)
            budget.spend(began)
        assert budget.is_used_up

    run(scenario)


def test_cheap_runs_are_not_counted():
    async def scenario(loop):
        hand, budget = make(loop)
        for _ in range(100):
            began = hand.now
            hand.advance(CHEAP / 2)
            budget.spend(began)
        assert not budget.is_used_up

    run(scenario)


def test_the_queue_is_served_round_robin_for_one_budget_per_iteration():
    async def scenario(loop):
        hand, budget = make(loop)
        served: list[str] = []

        def step(name: str) -> None:
            served.append(name)
            hand.advance(BUDGET * 0.3)
            if served.count(name) < 3:
                budget.queue(lambda: step(name))

        for name in "abc":
            budget.queue(lambda name=name: step(name))
        assert not served
        await asyncio.sleep(0)
        assert served == list("abca"), "four steps are more than one budget"
        for _ in range(5):
            await asyncio.sleep(0)
        assert served == list("abca"), "the pause is as long as the run"
        await asyncio.sleep(BUDGET * 10)
        assert served == list("abcabcabc")

    run(scenario)


def test_a_step_that_fails_does_not_stop_the_others():
    async def scenario(loop):
        _, budget = make(loop)
        served = []
        budget.queue(lambda: 1 / 0)
        budget.queue(lambda: served.append(1))
        await asyncio.sleep(BUDGET)
        assert served == [1]
        assert isinstance(loop.failures.pop()["exception"], ZeroDivisionError)

    run(scenario)


def test_connections_that_rest_go_on_in_order_a_few_at_a_time():
    async def scenario(loop):
        _, budget = make(loop)
        woken = []
        for number in range(2 * RESTS_END + 1):
            budget.rest(lambda number=number: woken.append(number))
        seen = []
        for _ in range(4):
            seen.append(list(woken))
            await asyncio.sleep(REST)
        counts = [len(each) for each in seen]
        assert counts[:3] == [0, RESTS_END, 2 * RESTS_END]
        assert woken == list(range(2 * RESTS_END + 1)), "each once, and in order"

    run(scenario)


def test_a_rest_whose_end_fails_does_not_keep_the_others_at_rest():
    async def scenario(loop):
        errors, woken = [], []
        loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        _, budget = make(loop)
        budget.rest(lambda: 1 // 0)
        budget.rest(lambda: woken.append(1))
        await asyncio.sleep(3 * REST)
        budget.rest(lambda: woken.append(2))
        await asyncio.sleep(3 * REST)
        assert woken == [1, 2] and [type(each) for each in errors] == [ZeroDivisionError]

    run(scenario)
