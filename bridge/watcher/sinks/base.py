"""What the delivery needs from a sink."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Protocol

from bridge.fifo_semaphore import FifoSemaphore
from bridge.ticket import Ticket


class Sink(Protocol):
    """Takes tickets one at a time. `session` and `pane` name it in reports."""

    session: str
    pane: str

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """Return when the sink can take a ticket now, or holds one of `held` half delivered.

        Raises PaneLost, TmuxError.
        """

    async def deliver(self, ticket: Ticket, time_left: Callable[[], float]) -> dict[str, object]:
        """Take one ticket, once, and return the evidence for its history.

        `time_left`: seconds for which the claim surely holds. A sink that had to wait must check
        it before it acts. Raises PaneNotReady, PaneLost, Uncertain, TmuxError, DeliveryFailed; the
        ticket then waits.
        """

    def owes(self, ticket_id: str) -> bool:
        """Does the sink hold this ticket half delivered, so that it can take no other first?

        The answer is as of the last `wait_ready`.
        """

    def turn(self) -> FifoSemaphore:
        """Held (`async with`) from the claim of a ticket until its acknowledgement.

        So agents that share a pane never have more than one ticket under way there.
        """

    async def leave(self) -> None:
        """The end: give back what the sink has reserved."""

    async def check(self) -> None:
        """Raise PaneLost or TmuxError if the sink is gone. Called regularly while idle."""

    async def reason(self) -> str:
        """Why the sink takes nothing now, as text for people; "" if there is no reason."""
