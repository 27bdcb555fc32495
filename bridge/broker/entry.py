"""One ticket as the broker holds it: bytes that never change, and a state that is replaced.

    pending ──ack──► delivered ──reply──► responded
       ├────reply────────────────────────────^
       ├────ttl────► expired
       └────drop───► dropped              transitions.py has the whole table

Rule 1: `data` is the ticket as it was accepted, as JSON, encoded once. The same bytes
go to disk, to event streams and into polls. `to_json` adds the present state.
Rule 2: a State is a value. A change is proposed (`next`), written, and becomes `state`
when it is on disk. A failed write leaves `state` as it was. The exception is
`streamed_ms`: it is set in memory, and goes to disk with the next change.
Rule 3: leases and time-to-live count on the monotonic clock, so a jump of the wall
clock ends none. The wall clock's times are kept for people and for restarts. A lease's
length is kept too: the clock may have been ahead when its end was written, and a
restart must not make the lease longer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from bridge.broker import body
from bridge.ticket import DROPPED, ENDED, PENDING, RESPONDED
from bridge.timestamp import rfc3339

LEASE_MAX = 3_600_000  # ms; a lease that outlives its watcher for longer only blocks the ticket
STAGES_MAX = 64  # entries of one history; a ticket claimed for ever must not grow for ever


@dataclass(frozen=True)
class Claim:
    """`watcher` is about to inject. No other watcher may, until the lease runs out."""

    watcher: str
    until: float  # monotonic seconds
    until_ms: int  # wall clock, for the wire and for a restart
    lease_ms: int = LEASE_MAX  # its length


@dataclass(frozen=True)
class TicketState:
    status: str = PENDING
    updated_ms: int = 0
    response: dict[str, Any] | None = None  # {payload, metadata, at}
    responded_ms: int = 0
    claim: Claim | None = None
    # {stage, at, by?, evidence?}, without `accepted` and `streamed`
    stages: tuple[dict[str, Any], ...] = ()

    @property
    def is_final(self) -> bool:
        return self.status != PENDING

    @property
    def is_acknowledgeable(self) -> bool:
        """Would an acknowledgement change the status or add its stages?"""
        if self.status not in (RESPONDED, DROPPED):
            return self.status == PENDING
        return all(stage["stage"] != "acknowledged" for stage in self.stages)

    @property
    def has_ended(self) -> bool:
        """Has the ticket expired or been dropped, so that no reply will ever come?"""
        return self.status in ENDED


def with_stage(state: TicketState, stage: dict[str, Any]) -> TicketState:
    """The state with one more stage. Beyond the bound, the second oldest stage is removed."""
    kept = state.stages
    kept = kept[:1] + kept[2:] if len(kept) >= STAGES_MAX else kept
    return replace(state, stages=kept + (stage,))


def new_stages(before: TicketState, after: TicketState) -> list[dict[str, Any]]:
    """The stages that a change added. Beyond the bound it also removed some (`with_stage`)."""
    last, added = before.stages[-1] if before.stages else None, 0
    for stage in reversed(after.stages):
        if stage is last:
            break
        added += 1
    return list(after.stages[len(after.stages) - added :])


class Entry:
    """A ticket, its place in the order, and its state."""

    __slots__ = (
        "seq", "ticket_id", "agent_id", "data", "created_ms", "timeout_ms", "ttl_ms", "expires_at",
        "state", "next", "commit", "is_born", "streamed_ms", "streamed_by", "accepted_at",
        "memo_bytes", "is_stray", "weight", "counted",
    )  # fmt: skip

    def __init__(
        self,
        seq: int,
        ticket_id: str,
        agent_id: str,
        data: bytes,
        created_ms: int,
        timeout_ms: int,
        ttl_ms: int = 0,
    ) -> None:
        self.seq = seq
        self.ticket_id = ticket_id
        self.agent_id = agent_id
        self.data = data
        self.created_ms = created_ms
        self.timeout_ms = timeout_ms
        self.ttl_ms = ttl_ms  # 0 = never expires
        self.expires_at = 0.0  # monotonic seconds, when ttl_ms
        self.state = NEW
        self.next: TicketState | None = None  # proposed, on its way to disk
        self.commit: Any = None  # the journal's Commit of its last change; None = on disk
        self.is_born = False  # on disk, therefore visible
        self.streamed_ms = 0
        self.streamed_by = ""
        self.accepted_at = 0.0  # monotonic seconds, while it is pending
        self.memo_bytes = 0  # of the memo that was read from the store with it
        self.weight = 0  # bytes of memory of its last state, if that is final
        self.counted = 0  # bytes that the ledger counts for it among the remembered ones
        self.is_stray = False  # at its arrival the agent was neither registered nor received for

    @property
    def head(self) -> TicketState:
        """The state as it will be when all pending writes are on disk."""
        return self.next or self.state

    def decoded(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.data.decode())
        return fields

    def to_json(self) -> dict[str, Any]:
        """The ticket with its present state (HTTP_API.md, Ticket)."""
        fields, state = self.decoded(), self.state
        fields["status"] = state.status
        if state.updated_ms:
            fields["updatedAt"] = rfc3339(state.updated_ms)
        if state.response is not None:
            fields["response"] = state.response
            fields["latencyMs"] = max(0, state.responded_ms - self.created_ms)
        return fields

    def history(self) -> list[dict[str, Any]]:
        stages: list[dict[str, Any]] = [{"stage": "accepted", "at": rfc3339(self.created_ms)}]
        if self.streamed_ms:
            stages.append(
                {"stage": "streamed", "at": rfc3339(self.streamed_ms), "by": self.streamed_by}
            )
        return stages + list(self.state.stages)

    def mark_streamed(self, wall_ms: int, tier: str) -> None:
        if not self.streamed_ms:
            self.streamed_ms, self.streamed_by = wall_ms, tier

    def memo(self, state: TicketState) -> str:
        """The part of `state` that has no column of its own, as JSON for the journal."""
        memo = {
            "claim": state.claim and [state.claim.watcher, state.claim.until_ms],
            "lease": state.claim and state.claim.lease_ms,
            "stages": state.stages,
            "streamed": [self.streamed_ms, self.streamed_by],
            "response": state.response,
            "responded": state.responded_ms,
        }
        return body.encode(memo).decode()

    def restore(
        self, status: str, updated_ms: int, memo: str | None, wall_ms: int, now: float
    ) -> None:
        """Take the state back from the journal.

        `now` is monotonic, and `wall_ms` is the same instant on the wall clock.
        """
        kept = json.loads(memo) if memo else {}
        self.memo_bytes = len(memo or "")
        claim = None
        if kept.get("claim"):
            watcher, until_ms = kept["claim"]
            lease_ms = kept.get("lease") or LEASE_MAX  # an older bridge wrote no length
            left_ms = min(max(0, until_ms - wall_ms), lease_ms)
            until_ms = min(until_ms, wall_ms + lease_ms)
            claim = Claim(watcher, now + left_ms / 1000, until_ms, lease_ms)
        self.streamed_ms, self.streamed_by = kept.get("streamed") or (0, "")
        self.state = TicketState(
            status,
            updated_ms,
            kept.get("response"),
            kept.get("responded") or 0,
            claim,
            tuple(kept.get("stages") or ()),
        )
        self.is_born = True
        self.accepted_at = now + min(0, self.created_ms - wall_ms) / 1000
        if self.ttl_ms:
            self.expires_at = self.accepted_at + self.ttl_ms / 1000


NEW = TicketState()
