"""A download goes on as long as its peer reads, but not if it only trickles."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.fronts.write_progress import RATE_MIN, ReadRate
from broker.seams import CopiedBytes
from broker.small_server import SmallServer
from broker.talk import request

WINDOW = 10  # seconds
SIZE = 100_000_000


@pytest.mark.parametrize(
    ("rate", "is_cut"), [(1, True), (RATE_MIN // 2, True), (RATE_MIN * 2, False)]
)
def test_a_peer_that_reads_too_slowly_is_cut_with_one_line(rate, is_cut, caplog):
    caplog.set_level(logging.INFO, "bridge.broker")

    async def scenario(loop):
        server, copy = SmallServer(loop, write_deadline=WINDOW * 1000), CopiedBytes(SIZE)
        server.journal.copy = lambda: copy
        line = server.connect(is_stalled=True)
        line.send(request("GET", "/backup"))
        seconds = 0
        while seconds < 20 * WINDOW and not line.is_lost:
            await asyncio.sleep(1)
            seconds += 1
            line.read(rate)
        await asyncio.sleep(0)
        assert line.is_lost is copy.is_closed is is_cut
        assert is_cut is (seconds < 3 * WINDOW)
        said = [record for record in caplog.records if "download cut" in record.getMessage()]
        assert len(said) == int(is_cut)
        if not is_cut:
            line.abort()

    run(scenario)


@given(st.lists(st.tuples(st.floats(0.1, 3), st.integers(0, 5 * RATE_MIN)), max_size=80))
def test_a_rate_is_low_if_a_whole_window_had_too_few_bytes(reads):
    rate, now, read_bytes, times = ReadRate(0.0), 0.0, 0, [(0.0, 0)]
    for gap, size in reads:
        now, read_bytes = now + gap, read_bytes + size
        is_low = rate.is_low(now, read_bytes, WINDOW)
        slowest = min(
            ((read_bytes - had) / (now - at) for at, had in times if now - at >= WINDOW),
            default=RATE_MIN,
        )
        assert not is_low or slowest < RATE_MIN
        times.append((now, read_bytes))
    assert not rate.is_low(now + WINDOW, read_bytes + int(WINDOW * 9 * RATE_MIN) * 30, WINDOW)
    assert rate.is_low(now + 3 * WINDOW, read_bytes, WINDOW)
