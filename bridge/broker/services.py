"""What handlers may use. The server makes it once and passes it on; nothing is global."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.broker.agent_overview import AgentOverview
from bridge.broker.clock import Clock
from bridge.broker.events import Events
from bridge.broker.hub import Hub
from bridge.broker.journal.base import Journal
from bridge.broker.ledger import Ledger
from bridge.broker.limits import SendLimits
from bridge.broker.metrics.counters import Metrics
from bridge.broker.registry import Registry
from bridge.broker.subscriptions import Subscriptions
from bridge.broker.watchers import Watchers
from bridge.errors import BadValue
from bridge.settings import BrokerSettings


@dataclass(frozen=True)
class Services:
    settings: BrokerSettings
    clock: Clock
    journal: Journal
    hub: Hub
    ledger: Ledger
    registry: Registry
    subscriptions: Subscriptions
    limits: SendLimits
    metrics: Metrics
    overview: AgentOverview
    events: Events
    started_at: float  # monotonic
    watchers: Watchers

    @property
    def longpolls(self) -> int:
        """The number of long-polls that wait now, each counted once."""
        return self.hub.polls.total


def query_int(query: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query string. Raises BadValue that names the range."""
    text: str | None = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and low <= int(text) <= high):
        raise BadValue(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}")
    return int(text)


def only_looks(query: dict[str, str]) -> bool:
    """`?observe=1`: the client only watches. Neither presence nor a ticket's history changes."""
    return query_int(query, "observe", 0, 0, 1) == 1
