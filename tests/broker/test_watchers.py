"""Which watchers are present.

`on_gone` is called once for each watcher, after a grace period without a sign of life.
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.watchers import Watchers

GRACE = 10.0
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "note", "pass"]), st.sampled_from([0.0, 3.0, 15.0])
    ),
    max_size=30,
)


@given(STEPS)
def test_a_watcher_is_gone_a_grace_period_after_its_last_sign_of_life(steps):
    async def scenario(loop):
        watchers, gone = Watchers(loop.clock(), GRACE, 10), []
        watchers.on_gone = lambda watcher: gone.append((watcher, loop.time()))
        is_open, until, is_known = 0, 0.0, False
        for step, seconds in steps:
            if step == "open":
                watchers.opened("w")
                is_open, is_known = is_open + 1, True
            elif step == "close" and is_open:
                watchers.closed("w", seconds)
                is_open, until = is_open - 1, loop.time() + seconds
            elif step == "note":
                watchers.note("w", seconds)
                until, is_known = max(until, loop.time() + seconds), True
            elif step == "pass":
                await asyncio.sleep(seconds)
            assert watchers.is_here("w") == (is_open > 0 or loop.time() < until)
            if gone:
                assert not is_open and loop.time() >= until + GRACE
                break
        if is_known and not gone:
            for _ in range(is_open):
                watchers.closed("w")
                until = loop.time()
            await asyncio.sleep(15.0 + 3 * GRACE)
        assert len(gone) == is_known, "once"
        assert not is_known or gone[0][1] >= until + GRACE
        assert not watchers._known, "a client can make up names, so a gone one must be removed"

    run(scenario)


def test_an_empty_name_is_ignored_and_names_are_bounded():
    async def scenario(loop):
        watchers = Watchers(loop.clock(), GRACE, 3)
        for name in ("", *(f"w{number}" for number in range(10))):
            watchers.note(name, 1.0)
            watchers.opened(name)
            watchers.closed(name)
        assert len(watchers._known) == 3 and not watchers.is_here("")
        await asyncio.sleep(2 * GRACE + 1)
        assert not watchers._known

    run(scenario)
