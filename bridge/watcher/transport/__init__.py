"""The three tiers: how tickets come from the broker, best first.

    base.py      Transport, the protocol that all three follow
    feed.py      which tickets: one agent's, or those of all agents subscribed under a name
    sse.py       one event stream; a ticket arrives within a millisecond
    longpoll.py  one request that waits up to 25 s; for proxies that break streams
    poll.py      one request every few seconds; works with anything, other brokers too

`make_transport` makes a Tier's transport for a feed. The receiver opens, reads and closes it
through the protocol alone.
"""

from __future__ import annotations

from typing import Callable

from bridge.settings import WatcherSettings
from bridge.watcher.tiers import Tier
from bridge.watcher.transport.base import Transport
from bridge.watcher.transport.feed import AgentFeed, Feed, SubscriberFeed
from bridge.watcher.transport.longpoll import LongPoll
from bridge.watcher.transport.poll import PollTransport
from bridge.watcher.transport.sse import StreamTransport

TRANSPORTS: dict[Tier, Callable[[Feed, WatcherSettings], Transport]] = {
    Tier.STREAM: StreamTransport,
    Tier.LONG_POLL: LongPoll,
    Tier.POLL: PollTransport,
}


def make_transport(tier: Tier, feed: Feed, settings: WatcherSettings) -> Transport:
    return TRANSPORTS[tier](feed, settings)


__all__ = ["AgentFeed", "Feed", "SubscriberFeed", "Transport", "make_transport"]
