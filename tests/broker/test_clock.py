"""JumpWatch trusts a wall clock that keeps pace, and distrusts one that was just set."""

from __future__ import annotations

from bridge.broker.clock import HOLD, JUMP, JumpWatch
from broker.seams import WALL_MS, HandClock

DAY = 86400.0


def test_a_clock_that_keeps_pace_is_steady():
    hand = HandClock()
    pace = JumpWatch(hand.clock(), WALL_MS - 1000)
    for _ in range(10):
        assert pace.is_steady()
        hand.advance(DAY)
        hand.wall_ms += 500  # as when NTP slews the clock


def test_a_clock_that_was_set_is_steady_again_after_the_hold():
    for ahead in (8 * DAY, -8 * DAY):
        hand = HandClock()
        pace = JumpWatch(hand.clock(), 0)
        assert pace.is_steady()
        hand.wall_ms += int(ahead * 1000)
        for _ in range(4):
            assert not pace.is_steady()
            hand.advance(HOLD / 4)
        assert pace.is_steady()
        hand.wall_ms -= int(ahead * 1000)
        assert not pace.is_steady(), "setting it back is a jump too"


def test_jumps_below_the_bound_add_up():
    hand = HandClock()
    pace = JumpWatch(hand.clock(), 0)
    seen = []
    for _ in range(3):
        hand.wall_ms += int(JUMP * 1000) // 2
        hand.advance(60)
        seen.append(pace.is_steady())
    assert seen == [True, True, False]


def test_at_the_start_the_clock_is_compared_with_the_newest_time_in_the_store():
    near, past, future = WALL_MS, WALL_MS - int(8 * DAY * 1000), WALL_MS + int(DAY * 1000)
    for newest_ms, is_steady in [(0, True), (near, True), (past, False), (future, False)]:
        hand = HandClock()
        pace = JumpWatch(hand.clock(), newest_ms)
        assert pace.is_steady() is is_steady
        hand.advance(HOLD)
        assert pace.is_steady()
