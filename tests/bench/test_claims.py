"""A claim is judged only by the values that were measured before and after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.bench.claims import CLAIMS, Measured, judge
from bridge.bench.figures import Latency
from bridge.bench.plan import AFTER, Way

BEFORE = Measured(
    Way.POLL,
    10,
    30.0,
    60,
    9000,
    9000,
    0.1,
    0.2,
    Latency(30, 2500.0, 2500.0, 5000.0, 5000.0, 5000.0),
)
AFTER_ALL = Measured(
    Way.STREAM, 10, 30.0, 0, 0, 170, 0.01, 0.02, Latency(30, 9.0, 8.0, 20.0, 20.0, 20.0)
)


def verdicts(**changes):
    return {
        verdict.claim.name: verdict for verdict in judge([BEFORE, replace(AFTER_ALL, **changes)])
    }


def test_figures_are_scaled_to_a_minute_and_to_percent():
    assert BEFORE.requests_per_minute == 120 and BEFORE.bytes_per_minute == 36000
    assert BEFORE.cpu_percent == pytest.approx(1.0) and BEFORE.broker_cpu_percent == pytest.approx(
        1 / 3
    )


def test_all_claims_are_met():
    judged = verdicts()
    assert set(judged) == {claim.name for claim in CLAIMS} and all(
        verdict.is_met for verdict in judged.values()
    )
    assert (judged["latency"].value, judged["requests"].value) == (9.0, 0.0)
    assert judged["cpu"].value == pytest.approx(90.0) and judged["network"].value == pytest.approx(
        100 * (1 - 170 / 18000)
    )


@pytest.mark.parametrize(
    "name, changes, is_met",
    [
        ("latency", {"latency": Latency(1, 85.0)}, True),
        ("latency", {"latency": Latency(1, 85.1)}, False),
        ("latency", {"latency": Latency(0)}, False),
        ("requests", {"requests": 1}, True),
        ("requests", {"requests": 2}, False),  # 2 in 30 s are 4 a minute
        ("cpu", {"watchers_cpu_seconds": 0.049}, True),
        ("cpu", {"watchers_cpu_seconds": 0.051}, False),
        ("cpu", {"broker_cpu_seconds": 0.5}, False),  # more than was used before
        ("network", {"bytes_up": 1629}, True),
        ("network", {"bytes_up": 1631}, False),
    ],
)
def test_each_claim_is_judged_separately(name, changes, is_met):
    judged = verdicts(**changes)
    assert judged[name].is_met is is_met
    assert all(verdict.is_met for other, verdict in judged.items() if other != name)


def test_no_claim_is_judged_without_a_measurement_before():
    assert judge([AFTER_ALL]) == [] and judge([]) == []


def test_polling_and_long_polling_are_not_judged():
    judged = judge([replace(AFTER_ALL, way=way) for way in Way])
    assert {verdict.way for verdict in judged} == set(AFTER)


def test_no_saving_is_reported_when_nothing_was_used_before():
    idle = replace(BEFORE, broker_cpu_seconds=0.0, watchers_cpu_seconds=0.0)
    (cpu,) = [verdict for verdict in judge([idle, AFTER_ALL]) if verdict.claim.name == "cpu"]
    assert cpu.value is None and not cpu.is_met and cpu.to_json()["measured"] is None
