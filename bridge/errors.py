"""Everything that bridge raises on purpose.

    BridgeError
    ├── UsageError            a flag, a setting or an argument is wrong        exit 2
    ├── RequestError          a request is refused, for a Reason that each front translates
    │   └── BadValue          a name, a field or a body is not what the request needs
    ├── PeerError             the peer broke the protocol; has a status of HTTP
    │   └── StreamError       an event stream broke a limit
    ├── BrokerUnreachable     there is no answer at the broker's address       exit 3
    │   └── ConnectionLost    there was one, but it broke off or made no sense
    ├── Refused               the broker refused: status and detail            exit 4 (404), 5
    ├── StoreError            the store cannot be used; the text says what to do   exit 6
    ├── StoreBusy             a write failed now (disk full); try again later
    ├── Raced                 a change was decided on a state that another one has replaced
    ├── WriterDied            the broker's writer thread ended                 exit 9
    ├── TierUnfit             stream or long-poll cannot work with this broker or proxy
    ├── DeliveryFailed        the command of --exec failed; the ticket waits
    └── PaneError             the pane cannot take a ticket
        ├── TmuxError         a tmux command failed; names the subcommand
        │   └── ControlBroken the control client is silent, ended or sent nonsense
        ├── PaneLost          the pane, or its server, is gone
        │   └── PaneUnfit     a pane has the name, but must not be used
        ├── PaneNotReady      not now; the text gives the reason
        │   └── HalfDelivered the ticket's text is in the pane; its Enter or its result is missing
        ├── Uncertain         text may be in the pane; it must not be typed again
        └── Unconfirmed       a typed command has not reported that it ran; it may be typed again

One seam translates each family. `broker/answers.py` turns RequestError and PeerError into
a response. `cli/main.py` turns the rest into a line on stderr and an exit status.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class BridgeError(Exception):
    """Base of everything that bridge raises on purpose."""


class UsageError(BridgeError):
    """A flag, a setting or an argument is wrong. The text names it and says how to correct it."""


class Reason(enum.Enum):
    """Why a request is refused. Each front has its own code for it.

    The value is the label by which `bridge_refusals_total` counts it, in every front.
    """

    MALFORMED = "malformed"  # a field has a bad value; the text names it
    NOT_FOUND = "not_found"
    NO_REPLY = "no_reply"  # none came in time, or none will come
    CONFLICT = "conflict"  # with the state of the ticket, or with another request
    TOO_LARGE = "too_large"
    # A bound is reached.
    AGENT_BYTES = "agent_bytes"
    AGENTS_MAX = "agents_max"
    QUEUE_FULL = "queue_full"
    RATE_LIMIT = "rate_limit"
    STRAY_BYTES = "stray_bytes"
    SUBSCRIBERS_MAX = "subscribers_max"
    # The broker itself has no room, or cannot do it now.
    CONNECTIONS_MAX = "connections_max"
    CONNECTION_BYTES = "connection_bytes"
    EVENTS_MAX = "events_max"
    PENDING_BYTES = "pending_bytes"
    STORE = "store"
    STREAMS_MAX = "streams_max"
    STREAMS_OFF = "streams_off"
    UNAVAILABLE = "unavailable"


class RequestError(BridgeError):
    """The request cannot be met. `detail` says why, and what to do.

    `retry_after` is the number of seconds after which a repeated request may succeed; 0 = not
    known. `extra` is the state of things that a client may want to read: the front adds it to
    its answer.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        retry_after: int = 0,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class BadValue(RequestError):
    """A name, a field or a whole body is not what the request needs. The text names it."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.MALFORMED, detail)


class PeerError(BridgeError):
    """The peer broke the protocol, or asks for what no route has. `status` is the answer in HTTP.

    `headers` are added to the response (Allow, ...).
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class StreamError(PeerError):
    """An event stream broke a limit, or sent bytes that are not UTF-8."""

    def __init__(self, detail: str) -> None:
        super().__init__(502, detail)


class BrokerUnreachable(BridgeError):
    """There is no answer at the broker's address."""


class ConnectionLost(BrokerUnreachable):
    """The peer at that address answered, but then broke off, fell silent or made no sense."""


class Refused(BridgeError):
    """The broker answered, and the answer is a refusal."""

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
        self.retry_after = retry_after  # seconds; 0 = the answer had no Retry-After

    @property
    def is_problem(self) -> bool:
        """Is it a problem document (RFC 9457)?

        Our broker sends one. The predecessor's router, or a proxy in front, does not.
        """
        return "title" in self.fields or "type" in self.fields


class StoreError(BridgeError):
    """The store cannot be used: another broker has it, or it is corrupt, too new or read-only."""


class StoreBusy(BridgeError):
    """A write failed now (disk full, I/O error). Nothing of it was kept; try again later."""


class Raced(BridgeError):
    """A change was decided on a state that another one has replaced. Nothing of it was kept.

    The request is answered again, on the state of now.
    """


class WriterDied(BridgeError):
    """The writer thread of the store ended. Only a restart of the broker brings it back."""


class TierUnfit(BridgeError):
    """Stream or long-poll cannot work with this broker, or through the proxy in front of it."""


class DeliveryFailed(BridgeError):
    """A sink did not take the ticket (the command of --exec failed). The ticket waits."""


class PaneError(BridgeError):
    """The pane cannot take a ticket."""


class TmuxError(PaneError):
    """tmux refused. The text names the subcommand, because tmux's own text does not."""

    def __init__(self, subcommand: str, stderr: str) -> None:
        super().__init__(f"tmux {subcommand}: {stderr.strip() or 'failed'}")


class ControlBroken(TmuxError):
    """The control client of a tmux server is silent, ended or sent nonsense.

    The command that it was given may have been executed or not.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("control client", reason)


class PaneLost(PaneError):
    """The pane, its session or its tmux server is gone. It must be resolved again by name."""


class PaneUnfit(PaneLost):
    """A pane has the name but must not be used.

    The name is ambiguous, or the pane belongs to a neighbour or to another agent.
    """


class PaneNotReady(PaneError):
    """The pane must not be typed into now. The text is the reason, written for people."""


class HalfDelivered(PaneNotReady):
    """The ticket's own text was pasted. Its Enter is due, or its result is not visible yet."""


class Uncertain(PaneError):
    """The text may be in the pane. It is not typed again, because that could double it."""


class Unconfirmed(PaneError):
    """A command was typed and has not reported that it ran.

    It may be typed again: if it runs twice, the ticket is only shown twice.
    """
