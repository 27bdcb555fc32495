"""What was measured of each way, and what the push design claims of the change to push.

    Measured (poll) ──┐
    Measured (sse) ───┴─► Claim ─► Verdict: this value, met or not

Rule: a claim is judged on the measurements of this run only, `before` too. Only the claims
themselves are constants. If `before` is missing, or all intervals were shortened, nothing
is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

from bridge.bench.figures import Latency, saving
from bridge.bench.plan import AFTER, BEFORE, Way


@dataclass(frozen=True)
class Measured:
    """One way: the counts of its idle phase, and the latency of the tickets after it."""

    way: Way
    processes: int  # watchers, without the broker
    idle_seconds: float
    requests: int
    bytes_up: int  # TCP payload from the watchers to the broker
    bytes_down: int
    broker_cpu_seconds: float
    watchers_cpu_seconds: float
    latency: Latency

    @property
    def requests_per_minute(self) -> float:
        return self.requests * 60 / self.idle_seconds

    @property
    def bytes_per_minute(self) -> float:
        return (self.bytes_up + self.bytes_down) * 60 / self.idle_seconds

    @property
    def broker_cpu_percent(self) -> float:
        return 100 * self.broker_cpu_seconds / self.idle_seconds

    @property
    def watchers_cpu_percent(self) -> float:
        return 100 * self.watchers_cpu_seconds / self.idle_seconds

    @property
    def cpu_percent(self) -> float:
        return self.broker_cpu_percent + self.watchers_cpu_percent

    def to_json(self) -> dict[str, object]:
        return {
            "way": self.way.value,
            "processes": self.processes,
            "idleSeconds": round(self.idle_seconds, 3),
            "requests": self.requests,
            "requestsPerMinute": round(self.requests_per_minute, 2),
            "bytesUp": self.bytes_up,
            "bytesDown": self.bytes_down,
            "bytesPerMinute": round(self.bytes_per_minute),
            "brokerCpuPercent": round(self.broker_cpu_percent, 4),
            "watchersCpuPercent": round(self.watchers_cpu_percent, 4),
            "latency": self.latency.to_json(),
        }


@dataclass(frozen=True)
class BenchClaim:
    """`value` of (before, after) is the measured figure; `aim` is the value it must reach."""

    name: str
    text: str
    unit: str
    aim: float
    is_upper: bool  # True: the aim is a maximum; False: a minimum
    value: Callable[[Measured, Measured], float | None]

    @property
    def aim_text(self) -> str:
        return f"{'at most' if self.is_upper else 'at least'} {self.aim:g}{self.unit}"

    def is_met_by(self, value: float | None) -> bool:
        if value is None:
            return False
        return value <= self.aim if self.is_upper else value >= self.aim


CLAIMS: Sequence[BenchClaim] = (
    BenchClaim(
        "latency",
        "average latency 2500 → 85 ms",
        " ms",
        85,
        True,
        lambda before, after: after.latency.mean_ms,
    ),
    BenchClaim(
        "requests",
        "requests a minute 120 → 2",
        "",
        2,
        True,
        lambda before, after: after.requests_per_minute,
    ),
    BenchClaim(
        "cpu",
        "CPU −80 %",
        " %",
        80,
        False,
        lambda before, after: saving(before.cpu_percent, after.cpu_percent),
    ),
    BenchClaim(
        "network",
        "network −90 %",
        " %",
        90,
        False,
        lambda before, after: saving(before.bytes_per_minute, after.bytes_per_minute),
    ),
)


@dataclass(frozen=True)
class BenchVerdict:
    claim: BenchClaim
    way: Way
    value: float | None

    @property
    def is_met(self) -> bool:
        return self.claim.is_met_by(self.value)

    def to_json(self) -> dict[str, object]:
        value = None if self.value is None else round(self.value, 3)
        return {
            "claim": self.claim.name,
            "text": self.claim.text,
            "aim": self.claim.aim_text,
            "way": self.way.value,
            "measured": value,
            "met": self.is_met,
        }


def judge(measured: Sequence[Measured]) -> Sequence[BenchVerdict]:
    """Each claim for each of its ways, as far as both were measured."""
    by_way: Mapping[Way, Measured] = {each.way: each for each in measured}
    before = by_way.get(BEFORE)
    if before is None:
        return []
    return [
        BenchVerdict(claim, way, claim.value(before, by_way[way]))
        for claim in CLAIMS
        for way in AFTER
        if way in by_way
    ]
