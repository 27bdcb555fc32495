"""What the delivery asks of a sink."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Protocol

from bridge.ticket import Ticket
from bridge.turns import Turns


class Sink(Protocol):
    """Takes tickets one at a time; `session` and `pane` name it in reports."""

    session: str
    pane: str

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """Return when a ticket could be taken now, or when the sink has one of those that are `held` half delivered. Raises PaneLost, TmuxError."""

    async def deliver(self, ticket: Ticket, time_left: Callable[[], float]) -> dict[str, object]:
        """Take one ticket, once, and return the evidence that goes into its history. Raises
        PaneNotReady, PaneLost, Uncertain, TmuxError, DeliveryFailed; the ticket then waits.
        `time_left`: seconds for which the claim surely holds; a sink that had to wait asks it before it acts."""

    def owes(self, ticket_id: str) -> bool:
        """Does the sink hold this ticket half delivered, so that it can take no other first? As `wait_ready` saw it last."""

    def turn(self) -> Turns:
        """Held (`async with`) from the claim of a ticket until its acknowledgement is through, so that agents who share a
        pane never have more than one ticket under way there."""

    async def leave(self) -> None:
        """The end: give back what the sink has taken for itself."""

    async def check(self) -> None:
        """Is it still there? Asked now and then while nothing is to be delivered. Raises PaneLost, TmuxError."""

    async def reason(self) -> str:
        """Why nothing is taken at the moment, in words for people; "" when there is no reason."""
