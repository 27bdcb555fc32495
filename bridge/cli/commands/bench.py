"""`bench`: the push design's Before / After table, measured; `bench load`: a load on a broker.

    bench        each way to receive (bridge/bench/measuring.py) ─► table ─► claims, judged
    bench load   streams and publishers (bridge/bench/load.py) ─► latency, lost, doubled, errors

Exit status 1: a claim was not met, or a ticket was lost or doubled, or a request was refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from bridge.bench.claims import BenchVerdict, Measured, judge
from bridge.bench.figures import shown
from bridge.bench.measuring import Progress, measure
from bridge.bench.plan import BEFORE, QUICK, Plan, Way, plan_of
from bridge.cli.broker_options import add_broker_flags, add_json_flag
from bridge.cli.commands.load import drive_broker
from bridge.cli.fit_text import hanging, page_width
from bridge.cli.flags import add_flags, load
from bridge.cli.main import OK, UNEXPECTED
from bridge.cli.progress import ProgressLine, here_and_now, machine
from bridge.cli.safe_text import Page
from bridge.errors import UsageError
from bridge.settings import BenchSettings, ClientSettings, LoadSettings
from bridge.timestamp import rfc3339

HEADS = ("way", "req/min", "avg ms", "p50 ms", "p99 ms", "broker %", "watchers %", "bytes/min")
IDLE = (
    "Requests and bytes of TCP payload (in both directions) through a counting proxy; CPU of the "
    "broker, and of all watchers together, in percent of a core. Measured while nothing is sent, "
    "for whole periods of each way, so that each heartbeat counts once."
)
EPILOG = """
  python3 -m bridge bench --json > bench.json
  python3 -m bridge bench load --broker-url http://127.0.0.1:5050 --streams 100 --rate 200

`bench` starts its own brokers and watchers, for one way to receive after the other. It takes
about three minutes.
`bench load` sends to a running broker, to agents with names of its own. Its tickets are
acknowledged, and stay in the store like other finished tickets. The broker's rate limit also
limits `bench load`: start that broker with BRIDGE_RATE_LIMIT=0."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (parser.epilog or "") + EPILOG
    parser.add_argument(
        "mode",
        metavar="load",
        nargs="?",
        choices=("load",),
        help="put a load on a running broker; without it: compare the ways to receive",
    )
    parser.add_argument(
        "--ways",
        metavar="LIST",
        help="of bench: only these ways to receive, separated by commas "
        f"({', '.join(way.value for way in Way)})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"of bench: make every interval {QUICK} times shorter, for a first look; "
        "the claims are not judged then",
    )
    add_json_flag(parser)
    add_flags(parser, BenchSettings, "bench")
    add_flags(parser, LoadSettings, "bench load")
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    if args.mode is None:
        refuse_flags(args, LoadSettings, "bench load")
        refuse_flags(args, ClientSettings, "bench load")
        return compare(args)
    refuse_flags(args, BenchSettings, "bench")
    if args.quick or args.ways is not None:
        raise UsageError("--quick and --ways belong to `bench`")
    return drive_broker(load(ClientSettings, args), load(LoadSettings, args), args.json)


def refuse_flags(args: argparse.Namespace, cls: type[Any], mode: str) -> None:
    """Raises UsageError for a flag of the other mode, which would have no effect."""
    for entry in fields(cls):
        if getattr(args, entry.name) is not None:
            raise UsageError(f"--{entry.name.replace('_', '-')} belongs to `{mode}`")


def compare(args: argparse.Namespace) -> int:
    plan, ways = plan_of(load(BenchSettings, args), args.quick), ways_of(args.ways)
    schedule = plan.schedule()
    with ProgressLine(sys.stderr) as line:
        measured = [
            measure(way, plan, schedule, lambda progress: line.tell(*describe(progress, ways)))
            for way in ways
        ]
    verdicts = [] if plan.is_quick else judge(measured)
    page = Page()
    if args.json:
        page.json(to_json(plan, measured, verdicts))
    else:
        show(page, plan, measured, verdicts)
    return UNEXPECTED if any(not verdict.is_met for verdict in verdicts) else OK


def ways_of(text: str | None) -> Sequence[Way]:
    """The named ways, in the order of the table."""
    known = {way.value: way for way in Way}
    named = [part.strip() for part in text.split(",")] if text is not None else list(known)
    unknown = [name for name in named if name not in known]
    if unknown:
        raise UsageError(f"--ways names {unknown[0]!r}; there are {', '.join(known)}")
    return [way for way in Way if way.value in named]


def describe(progress: Progress, ways: Sequence[Way]) -> tuple[str, str]:
    """The current step, and its progress."""
    number = f"{list(ways).index(progress.way) + 1}/{len(ways)}"
    head = f"bench {number} {progress.way.value}: {progress.phase}"
    return head, f"{progress.done:.0f} of {progress.total:.0f}" if progress.total >= 1 else ""


def title(way: Way, plan: Plan) -> str:
    titles = {
        Way.POLL: f"poll {plan.poll_ms / 1000:g} s",
        Way.LONG_POLL: "long-poll",
        Way.STREAM: "SSE",
        Way.SUPERVISOR: "supervisor",
    }
    return titles[way] + (" (before)" if way is BEFORE else "")


def show(
    page: Page, plan: Plan, measured: Sequence[Measured], verdicts: Sequence[BenchVerdict]
) -> None:
    page.line(
        f"{plan.agents} agents, {plan.agents * plan.tickets} tickets each way; {here_and_now()}"
    )
    page.line()
    page.table(HEADS, aligned([row(each, plan) for each in measured], HEADS))
    page.line()
    windows = ", ".join(f"{each.way.value} {each.idle_seconds:.4g} s" for each in measured)
    page.line(hanging("idle     ", f"{IDLE} Measured for {windows}.", page_width()))
    page.line(
        hanging("latency  ", "From the POST to the watcher's line with the ticket.", page_width())
    )
    if plan.is_quick:
        page.line(
            hanging(
                "quick    ",
                f"Every interval is {QUICK} times shorter than in use, so no claim is judged.",
                page_width(),
            )
        )
    page.line()
    show_verdicts(page, plan, verdicts)


def row(measured: Measured, plan: Plan) -> list[str]:
    latency = (measured.latency.mean_ms, measured.latency.p50_ms, measured.latency.p99_ms)
    cpu = (measured.broker_cpu_percent, measured.watchers_cpu_percent)
    return [
        title(measured.way, plan),
        *map(shown, (measured.requests_per_minute, *latency, *cpu, measured.bytes_per_minute)),
    ]


def aligned(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> list[list[str]]:
    """Figures to the right, the first column to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows)]
    return [
        [cells[0], *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))]
        for cells in rows
    ]


def show_verdicts(page: Page, plan: Plan, verdicts: Sequence[BenchVerdict]) -> None:
    for verdict in verdicts:
        outcome = page.paint("met", "green") if verdict.is_met else page.paint("NOT met", "red")
        measured = shown(verdict.value, verdict.claim.unit)
        claim, way = verdict.claim.text.ljust(32), title(verdict.way, plan).ljust(10)
        aim = verdict.claim.aim_text
        page.line(f"claim: {claim} {way}  {measured.rjust(9)}  ({aim}): {outcome}")


def to_json(
    plan: Plan, measured: Sequence[Measured], verdicts: Sequence[BenchVerdict]
) -> Mapping[str, object]:
    return {
        "at": rfc3339(int(time.time() * 1000)),
        "machine": machine(),
        "agents": plan.agents,
        "quick": plan.is_quick,
        "ways": [each.to_json() for each in measured],
        "claims": [verdict.to_json() for verdict in verdicts],
    }
