"""Everything that bridge raises on purpose.

    BridgeError
    ├── UsageError            a flag, a setting or an argument is wrong        exit 2
    ├── PeerError             the other side broke the protocol; has a status
    │   └── StreamError       an event stream broke a limit
    ├── BrokerUnreachable     nobody answers at the broker's address           exit 3
    │   └── ConnectionLost    somebody did, and then broke off or made no sense
    ├── Refused               the broker said no: status and detail            exit 4 (404), 5
    ├── StoreError            the store cannot be used; says what to do        exit 6
    ├── StoreBusy             a write failed now (disk full); try again later
    ├── WriterDied            the broker's writing thread ended                exit 9
    ├── TierUnfit             stream or long-poll cannot work with this broker or proxy
    ├── DeliveryFailed        the command of --exec failed; the ticket waits
    └── PaneError             the pane cannot take a ticket
        ├── TmuxError         a tmux command failed; names the subcommand
        │   └── ControlBroken the control client fell silent, ended or spoke nonsense
        ├── PaneLost          the pane, or its server, is gone
        │   └── PaneUnfit     a pane bears the name, and must not be taken for it
        ├── PaneNotReady      not now: the reason says why
        │   └── HalfDelivered the ticket's text stands in the pane, and waits for its Enter or for what becomes of it
        ├── Uncertain         text may be in the pane; it must not be typed again
        └── Unconfirmed       a command was typed, and has not said that it ran; it may be typed again

One seam translates each family: `broker/fronts/http.py` turns PeerError into a
response, `cli/main.py` turns the rest into one line on stderr and an exit status.
"""

from __future__ import annotations

from collections.abc import Mapping


class BridgeError(Exception):
    """Base of everything bridge raises on purpose."""


class UsageError(BridgeError):
    """A flag, a setting or an argument is wrong; the text says which and how to mend it."""


class PeerError(BridgeError):
    """The other side broke the protocol or asked for what cannot be; `status` is the answer.

    `headers` are added to the response (Allow, Retry-After, ...), `extra` to the
    problem document (RFC 9457 section 3.2, extension members). `reason` is one
    word for whoever counts refusals, where the status alone does not say it.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class StreamError(PeerError):
    """An event stream broke a limit or sent what is no UTF-8 text."""

    def __init__(self, detail: str) -> None:
        super().__init__(502, detail)


class BrokerUnreachable(BridgeError):
    """Nobody answers at the broker's address."""


class ConnectionLost(BrokerUnreachable):
    """Somebody answered there, and then broke off, fell silent or made no sense."""


class Refused(BridgeError):
    """The broker answered, and the answer is no."""

    def __init__(
        self,
        status: int,
        detail: str,
        fields: Mapping[str, object] | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = dict(fields or {})
        self.retry_after = retry_after  # seconds; 0 = the broker did not say

    @property
    def is_problem(self) -> bool:
        """RFC 9457: said by our broker itself, not by the predecessor's router or a proxy before it."""
        return "title" in self.fields or "type" in self.fields


class StoreError(BridgeError):
    """The store cannot be used: held by another broker, corrupt, too new, read-only."""


class StoreBusy(BridgeError):
    """A write failed now (disk full, I/O error); nothing of it was kept; try again later."""


class WriterDied(BridgeError):
    """The thread that writes the store ended; only another start of the broker brings one back."""


class TierUnfit(BridgeError):
    """Stream or long-poll cannot work with this broker, or through the proxy before it."""


class DeliveryFailed(BridgeError):
    """A sink did not take the ticket (the command of --exec failed); the ticket waits."""


class PaneError(BridgeError):
    """The pane cannot take a ticket."""


class TmuxError(PaneError):
    """tmux refused; names the subcommand, because the text alone never helps."""

    def __init__(self, subcommand: str, stderr: str) -> None:
        super().__init__(f"tmux {subcommand}: {stderr.strip() or 'failed'}")


class ControlBroken(TmuxError):
    """The control client of a tmux server fell silent, ended or spoke nonsense; what it was asked may be done or not."""

    def __init__(self, reason: str) -> None:
        super().__init__("control client", reason)


class PaneLost(PaneError):
    """The pane, its session or its tmux server is gone; it must be resolved again by name."""


class PaneUnfit(PaneLost):
    """A pane bears the name and must not be taken: the name is unclear, the pane a neighbour's or another agent's."""


class PaneNotReady(PaneError):
    """The pane must not be typed into now; the text is the reason, for people."""


class HalfDelivered(PaneNotReady):
    """The ticket's own text was pasted. It waits for its Enter, or it cannot be seen yet what became of it."""


class Uncertain(PaneError):
    """The text may be in the pane; typing it again could double it, so nobody does."""


class Unconfirmed(PaneError):
    """A command was typed, and has not said that it ran. It may be typed again: to run it twice shows a ticket twice."""
