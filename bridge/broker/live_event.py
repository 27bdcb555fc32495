"""What a reader of GET /events gets: three kinds of values. A front encodes them.

    StageReached   a ticket has one more stage in its history
    AgentChanged   an agent's state has changed
    EventsMissed   the reader had no room for so many events

Rule 1: two events are equal only if they are the same object. All readers get the same one, so a
front can remember its last encoding.
Rule 2: a StageReached shows the ticket as it is now. It is encoded at once, or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from bridge.broker.agent_overview import AgentRow
from bridge.broker.body import encode_text
from bridge.broker.entry import Entry

PREVIEW = 200  # characters of a payload
ABOUT_FRAME = 300  # bytes of one About besides its texts


class About(NamedTuple):
    """What the events of a ticket repeat of its JSON."""

    origin: str
    thread: str | None
    preview: str

    @property
    def size(self) -> int:
        return ABOUT_FRAME + sum(map(sys.getsizeof, self))


@dataclass(frozen=True, eq=False)
class StageReached:
    entry: Entry
    about: About
    stage: Mapping[str, Any]  # {stage, at, by?, evidence?}

    def to_json(self) -> dict[str, Any]:
        entry, about = self.entry, self.about
        event = {
            "ticketId": entry.ticket_id,
            "seq": entry.seq,
            "agentId": entry.agent_id,
            "originAgent": about.origin,
            "threadId": about.thread,
            "status": entry.state.status,
            **self.stage,
        }
        if self.stage["stage"] == "accepted":
            event["preview"] = about.preview
        elif self.stage["stage"] == "replied" and entry.state.response is not None:
            event["preview"] = preview(entry.state.response["payload"])
        return event


@dataclass(frozen=True, eq=False)
class AgentChanged:
    row: AgentRow

    def to_json(self) -> dict[str, Any]:
        return self.row.to_json()


@dataclass(frozen=True, eq=False)
class EventsMissed:
    count: int

    def to_json(self) -> dict[str, Any]:
        return {"events": self.count}


LiveEvent = Union[StageReached, AgentChanged, EventsMissed]


def preview(payload: Any) -> str:
    """The beginning of a payload, as text."""
    return (payload if isinstance(payload, str) else encode_text(payload))[:PREVIEW]
