"""Two values of the wire: a ticket (one message for one agent) and an agent.

`Ticket.from_json` reads what a broker sent: a watcher and the commands use it.
`to_json` gives the Ticket of HTTP_API.md as a dict (keys in camelCase). A Ticket is frozen.

The broker does not use Ticket. It holds an Entry (broker/entry.py), and encodes the
same fields once, from a template (broker/ledger.py). The tests hold the template
against `Ticket.to_json`. An Agent is what the broker's registry keeps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.errors import BadValue, PeerError

ID_MAX = 128  # characters
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, lone surrogates
# Characters without width or visible effect: soft hyphen, zero-width space and joiners, word
# joiner, BOM.
_UNSEEN = re.compile("[\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff]")

PENDING, DELIVERED, RESPONDED, EXPIRED = "pending", "delivered", "responded", "expired"
DROPPED = "dropped"  # an operator ended it
STATUSES = (PENDING, DELIVERED, RESPONDED, EXPIRED, DROPPED)
ENDED = (EXPIRED, DROPPED)  # no reply will come


def check_id(value: object, name: str) -> str:
    """Return `value` if it may name an agent, a ticket or a subscriber.

    An id is 1 to 128 characters without control characters. Raises BadValue.
    """
    if not isinstance(value, str) or not value:
        raise BadValue(f"{name} must be a non-empty string")
    if len(value) > ID_MAX:
        raise BadValue(f"{name} is {len(value)} characters long; at most {ID_MAX} are allowed")
    if _FORBIDDEN.search(value):
        raise BadValue(f"{name} contains a control character")
    return value


def check_name(value: object, name: str) -> str:
    """Return `value` if it may name an agent that is sent to, registered or subscribed.

    A name must not look like another one: `lucy ` looks like `lucy`. Raises BadValue.
    """
    text = check_id(value, name)
    if text != text.strip():
        raise BadValue(f"{name} {text!r} begins or ends with white space; leave it out")
    if not text.isascii():
        unseen = _UNSEEN.search(text)
        if unseen:
            code = f"U+{ord(unseen.group()):04X}"
            raise BadValue(f"{name} {text!r} contains {code}, which cannot be seen; leave it out")
    return text


@dataclass(frozen=True)
class Ticket:
    """One message addressed to one agent."""

    ticket_id: str
    seq: int  # one counter per broker, strictly increasing; 0 = the predecessor, which has none
    agent_id: str
    payload: object  # any JSON value
    metadata: Mapping[str, object] = field(default_factory=dict)
    status: str = PENDING
    expect_reply: bool = True
    timeout_ms: int = 30000
    response: Mapping[str, object] | None = None  # {payload, metadata, at}
    created_at: str = ""  # RFC 3339, UTC, milliseconds, Z
    updated_at: str = ""
    latency_ms: int | None = None
    origin: str = "ui"

    @property
    def is_urgent(self) -> bool:
        return self.metadata.get("priority") == "urgent"

    def to_json(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "ticketId": self.ticket_id,
            "seq": self.seq,
            "agentId": self.agent_id,
            "targetAgent": self.agent_id,
            "originAgent": self.origin,
            "payload": self.payload,
            "metadata": self.metadata,
            "status": self.status,
            "expectReply": self.expect_reply,
            "timeoutMs": self.timeout_ms,
            "response": self.response,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }
        if self.latency_ms is not None:
            fields["latencyMs"] = self.latency_ms
        return fields

    @classmethod
    def from_json(cls, fields: object) -> Ticket:
        """Read a ticket from the wire. The predecessor's has no seq. Raises PeerError 502."""
        if not isinstance(fields, dict) or not isinstance(fields.get("ticketId"), str):
            raise PeerError(502, "the broker sent a ticket without a ticketId")
        metadata, response, seq = fields.get("metadata"), fields.get("response"), fields.get("seq")
        latency = fields.get("latencyMs")
        return cls(
            ticket_id=fields["ticketId"],
            seq=seq if isinstance(seq, int) else 0,
            agent_id=str(fields.get("agentId") or fields.get("targetAgent") or ""),
            payload=fields.get("payload"),
            metadata=metadata if isinstance(metadata, dict) else {},
            status=str(fields.get("status") or PENDING),
            expect_reply=fields.get("expectReply", True) is not False,
            timeout_ms=fields["timeoutMs"] if isinstance(fields.get("timeoutMs"), int) else 30000,
            response=response if isinstance(response, dict) else None,
            created_at=str(fields.get("createdAt") or ""),
            updated_at=str(fields.get("updatedAt") or ""),
            latency_ms=latency if isinstance(latency, int) else None,
            origin=str(fields.get("originAgent") or "ui"),
        )


@dataclass(frozen=True)
class Agent:
    """A registered receiver. The broker decides whether it is online or offline."""

    agent_id: str
    type: str = "unknown"
    metadata: Mapping[str, object] = field(default_factory=dict)
    heartbeat_interval_ms: int = 30000
    last_heartbeat: str = ""

    def to_json(self, status: str) -> dict[str, object]:
        return {
            "agentId": self.agent_id,
            "type": self.type,
            "metadata": self.metadata,
            "status": status,
            "lastHeartbeat": self.last_heartbeat,
            "heartbeatIntervalMs": self.heartbeat_interval_ms,
        }
