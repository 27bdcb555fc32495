"""What the receiver needs from a tier.

A transport is opened once, read until it fails, and closed. Its errors are evidence:

    BrokerUnreachable             no broker is there: no evidence against the tier
    ConnectionLost, StreamError   the connection broke: some evidence
    TierUnfit                     the tier cannot work here at all: proof
    Refused                       any other refusal of the broker
"""

from __future__ import annotations

from typing import Protocol

from bridge.errors import Refused, TierUnfit
from bridge.ticket import Ticket


class Transport(Protocol):
    """A feed's tickets after a cursor."""

    async def open(self, after: int) -> None:
        """Return when tickets after `after` can be received: the tier has proved to work."""

    async def receive(self) -> list[Ticket]:
        """The next tickets, not many more than an inbox holds. An empty list is a sign of life."""

    async def aclose(self) -> None:
        """Close the connection."""


# Answers of the predecessor's broker, or of a proxy, for a resource that it does not have.
UNFIT_STATUSES = frozenset({404, 405, 406, 501})


def unfit(error: Refused, tier: str, also: int = 0) -> Exception:
    """Turn a refusal that means "no such tier here" into proof. Return other refusals unchanged."""
    if error.status in UNFIT_STATUSES or error.status == also:
        return TierUnfit(f"{tier} is refused: {error.status} {error.detail}")
    return error
