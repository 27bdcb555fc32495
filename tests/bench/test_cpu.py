"""The CPU time of another process, as the kernel counts it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge.bench.cpu import _ps, cpu_seconds, parse_time
from bridge.errors import BridgeError

BURN = """
import sys, threading, time
def burn(until):
    while time.process_time() < until: pass
burn(0.1)
thread = threading.Thread(target=burn, args=(0.2,)); thread.start(); thread.join()
print(time.process_time(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def burner():
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_all_threads_count_including_those_that_have_ended(burner):
    said = float(burner.stdout.readline())
    assert said >= 0.2
    assert cpu_seconds([burner.pid]) >= said
    assert cpu_seconds([burner.pid, burner.pid]) >= 2 * said
    assert _ps(burner.pid) >= 0.0


def test_a_process_that_has_ended_is_an_error(burner):
    burner.communicate()
    with pytest.raises(BridgeError, match="ended while it was measured"):
        cpu_seconds([burner.pid])
    with pytest.raises(BridgeError, match="ended while it was measured"):
        _ps(burner.pid)


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("0:00.07", 0.07),
        ("00:00:05", 5),
        ("1:02:03", 3723),
        ("2-01:00:00", 176400),
        ("123:45.50", 7425.5),
    ],
)
def test_times_that_ps_prints(text, seconds):
    assert parse_time(text) == pytest.approx(seconds)
