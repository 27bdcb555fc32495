"""A short soak in every run of the tests; `python3 tests/soak --seconds 600` runs a long one.

BRIDGE_SOAK_SEED repeats a seed, BRIDGE_SOAK_SECONDS sets the length of the chaos.
"""

from __future__ import annotations

import os
import random

import pytest

from soak.scene import CREWS
from soak.soaking import soak

SECONDS = 6.0  # of faults; start, drain and account take about twice as long


@pytest.mark.parametrize("crew", ["watchers", "supervisor"])
def test_every_accepted_ticket_reaches_its_pane_once(tmp_path, crew):
    seed = os.environ.get("BRIDGE_SOAK_SEED") or str(random.SystemRandom().randrange(10**6))
    seconds = float(os.environ.get("BRIDGE_SOAK_SECONDS") or SECONDS)
    print(
        f"to repeat it: BRIDGE_SOAK_SEED={seed} BRIDGE_SOAK_SECONDS={seconds:g}"
        " python3 -m pytest tests/soak -s"
    )
    chosen = random.Random(f"crew {seed}").choice([name for name in sorted(CREWS) if crew in name])
    outcome = soak(seed, seconds, tmp_path, print, chosen)
    print(outcome.summary)
    assert not outcome.wrongs, f"seed {seed}, folder {tmp_path}:\n" + "\n".join(outcome.wrongs)
