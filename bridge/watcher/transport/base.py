"""What the intake asks of a tier.

A transport is opened once, read until it fails, and closed. It raises
BrokerUnreachable when nobody is there (no evidence against the tier),
ConnectionLost or StreamError when it broke (some evidence), TierUnfit when it
cannot work here at all (proof), and Refused for the broker's other answers.
"""

from __future__ import annotations

from typing import Protocol

from bridge.errors import Refused, TierUnfit
from bridge.ticket import Ticket


class Transport(Protocol):
    """A feed's tickets after a cursor."""

    async def open(self, after: int) -> None:
        """Return when tickets after `after` can be received; the tier has shown that it works."""

    async def receive(self) -> list[Ticket]:
        """The next tickets, not many more than an inbox holds; an empty list is a sign of life."""

    async def aclose(self) -> None:
        """Let go of the connection."""


# What the predecessor's broker, or a proxy, says of a resource that it does not have.
UNFIT_STATUSES = frozenset({404, 405, 406, 501})


def unfit(error: Refused, tier: str, also: int = 0) -> Exception:
    """A refusal that says "no such tier here" becomes proof; others stay what they are."""
    if error.status in UNFIT_STATUSES or error.status == also:
        return TierUnfit(f"{tier} is refused: {error.status} {error.detail}")
    return error
