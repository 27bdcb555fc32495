"""Totals over every name: the sums are right, and each part is short."""

from __future__ import annotations

import pytest
from virtual_clock import run

from bridge.broker.call import Call
from bridge.broker.handlers import pages, scrape
from bridge.broker.survey import PART_NAMES, count_tiers, find_waiting, sum_reports
from bridge.broker.watcher_report import WatcherReport
from bridge.ticket import Agent
from bridge.wire.request import Limits, RequestParser
from broker.seams import make_entry
from broker.small_server import make_services
from broker.talk import request

ASKED = RequestParser(Limits())
ASKED.feed(request("GET", "/metrics"))
ASKED = ASKED.take_request()
NAMES = 3 * PART_NAMES + 1


def walk(parts):
    """How many parts there were, and what they found."""
    count = 1
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return count, end.value
        count += 1


def test_every_name_is_counted_in_parts():
    async def scenario(loop):
        services = make_services(loop)
        registry = services.registry
        for number in range(NAMES):
            name = f"a{number}"
            registry.registered(Agent(name), 1)
            registry.presence(name).heartbeat_at = loop.time() if number else loop.time() - 1000
            registry.presence(name).polled_at = loop.time() if number % 2 else loop.time() - 1000
            registry.take_report(name, "", WatcherReport(numbers={"queued": 2}))
            services.metrics.watcher_series.take(name, {"queued": 2})
            entry = make_entry(NAMES - number, name)
            services.hub.hold(entry)
            services.hub.publish([entry])
        parts, tiers = walk(count_tiers(services))
        assert (parts, tiers.polled, tiers.agents["poll"]) == (4, NAMES // 2, NAMES // 2)
        parts, oldest = walk(find_waiting(services))
        assert (parts, oldest.seq) == (4, 1)
        parts, sums = walk(sum_reports(services, ["queued", "cpuPercent"]))
        assert parts == 4 and sum(sums["queued"].values()) == 2 * (NAMES - 1), "one is offline"
        assert set(sums["cpuPercent"].values()) == {0}

    run(scenario)


def test_what_nothing_serves_does_not_wait():
    async def scenario(loop):
        services = make_services(loop)
        entry = make_entry(1, "typo")
        services.hub.hold(entry)
        services.hub.publish([entry])
        assert walk(find_waiting(services)) == (1, None)

    run(scenario)


@pytest.mark.parametrize("handler", [scrape.metrics, pages.connections])
def test_a_page_over_every_name_is_made_in_parts(handler):
    async def scenario(loop):
        services = make_services(loop)
        for number in range(NAMES):
            services.registry.presence(f"a{number}")
        *before, last = handler(Call(ASKED, services, "")).parts
        assert len(before) >= 3 and set(before) == {None} and last.status == 200 and last.body

    run(scenario)
