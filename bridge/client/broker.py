"""The requests of HTTP_API.md as methods: each is one request; its answer is a value, or Refused.

Nothing here retries or stores anything. Callers that must not lose a ticket do. Only a wait
that is longer than the broker allows for one request becomes several requests.
"""

from __future__ import annotations

import math
import time
from typing import Callable

from bridge.client.address import segment
from bridge.client.broker_requests import BrokerRequests, Json, next_after
from bridge.client.http import EventStreamReader
from bridge.client.observation import Overview, SearchPage
from bridge.errors import Refused
from bridge.ticket import Ticket

WAIT_MAX = 60_000  # ms, the longest wait that the broker allows for one request
REASON_MAX = 512  # characters; the broker keeps no more of a reason
AGENTS_PAGE = 500  # agents of one answer: about 200 kB
BACKUP_WAIT = 3600.0  # seconds that a broker has for a copy, as its own bound
ABSENT = frozenset({404, 405})  # refusals of a broker that is too old for a request


class BrokerClient(BrokerRequests):
    """Each entry of the table is one method."""

    # tickets

    async def send(self, agent: str, payload: object, **options: object) -> Json:
        """POST /agents/{id}/send. Options are the camelCase keys of HTTP_API.md; None = absent."""
        body = {
            "payload": payload,
            **{name: value for name, value in options.items() if value is not None},
        }
        again = "ticketId" in body  # the idempotency key
        return self._object(
            await self.request("POST", f"/agents/{segment(agent)}/send", body, again=again)
        )

    async def pending(
        self,
        agent: str,
        after: int = 0,
        wait_ms: int = 0,
        limit: int | None = None,
        observe: bool = False,
    ) -> list[Ticket]:
        """`observe`: look without receiving, if the broker can tell the difference."""
        return await self._pending(f"/agents/{segment(agent)}", after, wait_ms, limit, observe)

    async def _pending(
        self, whose: str, after: int, wait_ms: int, limit: int | None, observe: bool = False
    ) -> list[Ticket]:
        query: dict[str, object] = {
            "after": after or None,
            "waitMs": wait_ms or None,
            "limit": limit,
            "observe": 1 if observe else None,
        }
        query["watcher"] = None if observe else self.watcher
        answer = await self.request(
            "GET", f"{whose}/tickets/pending", query=query, wait=wait_ms / 1000
        )
        return [Ticket.from_json(entry) for entry in self._list(answer)]

    async def claim(self, ticket: str, watcher: str, lease_ms: int) -> Json:
        body = {"watcher": watcher, "leaseMs": lease_ms}
        return self._object(
            await self.request("POST", f"/tickets/{segment(ticket)}/claim", body, again=True)
        )

    async def acknowledge(
        self, ticket: str, watcher: str | None = None, evidence: Json | None = None
    ) -> Json:
        body = {
            name: value
            for name, value in (("watcher", watcher), ("evidence", evidence))
            if value is not None
        }
        return self._object(
            await self.request(
                "POST", f"/tickets/{segment(ticket)}/acknowledge", body or None, again=True
            )
        )

    async def ticket(self, ticket: str) -> Json:
        """The ticket with its history."""
        return self._object(await self.request("GET", f"/tickets/{segment(ticket)}"))

    async def shown(self, ticket: str, pane: str = "", tty: str = "", terminal: str = "") -> Json:
        """Report that a terminal shows the whole ticket. Refused 404, 405: old broker."""
        place = (("pane", pane), ("tty", tty), ("terminal", terminal))
        body = {name: value for name, value in place if value}
        return self._object(
            await self.request("POST", f"/tickets/{segment(ticket)}/shown", body, again=True)
        )

    async def aside(self, ticket: str, watcher: str, reason: str) -> None:
        """Report that the watcher lets others pass this ticket. Refused 404, 405: old broker."""
        body = {"watcher": watcher, "reason": reason[:REASON_MAX]}
        await self.request("POST", f"/tickets/{segment(ticket)}/aside", body, again=True)

    async def drop(self, ticket: str, reason: str) -> Json:
        """End a pending ticket. If it is not pending, `dropped` is 0; `status` is the reason."""
        path = f"/tickets/{segment(ticket)}"
        return self._object(
            await self.request("DELETE", path, query={"reason": reason[:REASON_MAX]})
        )

    async def purge(self, agent: str, reason: str) -> int:
        """End all pending tickets of the agent, and return their number."""
        path, query = f"/agents/{segment(agent)}/tickets/pending", {"reason": reason[:REASON_MAX]}
        total, left = 0, 1
        while left:
            answer = self._object(await self.request("DELETE", path, query=query))
            total += int(answer.get("dropped") or 0)
            left = int(answer.get("left") or 0) if answer.get("dropped") else 0
        return total

    async def wait_shown(self, ticket_id: str, timeout_seconds: float) -> list[Json] | None:
        """Wait until `show` has shown the ticket; return the evidence of each time, {pane?, tty?}.

        [] when the time is up; None if the broker has no such stage. Raises BrokerUnreachable, and
        Refused 404 if the broker no longer has the ticket.
        """
        path, deadline = f"/tickets/{segment(ticket_id)}", time.monotonic() + timeout_seconds
        while True:
            left = max(0, deadline - time.monotonic())
            query = {"stage": "shown", "waitMs": min(WAIT_MAX, math.ceil(left * 1000))}
            try:
                answer = await self.request("GET", path, query=query, wait=left)
            except Refused as error:
                if error.status in ABSENT and not error.is_problem:
                    return None  # the predecessor's broker
                raise
            ticket = self._object(answer)
            if ticket.get("awaited") != "shown":
                return None  # an older broker of ours: it answers at once
            found = [
                stage.get("evidence")
                for stage in ticket.get("history") or ()
                if stage.get("stage") == "shown"
            ]
            if found or time.monotonic() >= deadline:
                return [evidence if isinstance(evidence, dict) else {} for evidence in found]

    # subscriptions: many agents under one name (HTTP_API.md, GET /tickets/stream)

    async def subscribe(self, agent: str, subscriber: str) -> None:
        await self.request(
            "POST",
            f"/agents/{segment(agent)}/subscribe",
            self._named({"subscriber": subscriber}),
            again=True,
        )

    async def unsubscribe(self, agent: str, subscriber: str) -> None:
        await self.request(
            "DELETE",
            f"/agents/{segment(agent)}/subscribe",
            query=self._named({"subscriber": subscriber}),
        )

    async def subscriber(self, subscriber: str) -> Json:
        """The name's agents, those that this watcher subscribed, and what receives under it."""
        return self._object(
            await self.request("GET", f"/subscribers/{segment(subscriber)}", query=self._named({}))
        )

    async def pending_of(
        self, subscriber: str, after: int = 0, wait_ms: int = 0, limit: int | None = None
    ) -> list[Ticket]:
        return await self._pending(f"/subscribers/{segment(subscriber)}", after, wait_ms, limit)

    # replies

    async def reply(self, ticket: str, payload: object, metadata: Json | None = None) -> None:
        body = {
            "ticketId": ticket,
            "payload": payload,
            **({"metadata": metadata} if metadata else {}),
        }
        await self.request("POST", "/replies", body)

    async def wait_reply(self, ticket: str, wait_ms: int) -> Json | None:
        """The ticket once it has a reply, or can no longer get one; None after `wait_ms`."""
        query = {"waitMs": wait_ms, "ended": 1}
        answer = await self.request(
            "GET", f"/replies/{segment(ticket)}", query=query, wait=wait_ms / 1000
        )
        return None if answer.status == 204 else self._object(answer)

    # agents

    async def agents(self, **filters: str | None) -> list[Json]:
        """All agents, page after page. An older broker returns all of them on the first page."""
        found: list[Json] = []
        query: dict[str, object] = {**filters, "limit": AGENTS_PAGE}
        while True:
            answer = await self.request("GET", "/agents", query=query)
            found += [entry for entry in self._list(answer) if isinstance(entry, dict)]
            after = next_after(answer.fields.get("link", ""))
            if not after or after == query.get("after"):
                return found
            query["after"] = after

    async def agent(self, agent: str) -> Json:
        return self._object(await self.request("GET", f"/agents/{segment(agent)}"))

    async def register(self, agent: str, **options: object) -> Json:
        body = {
            "agentId": agent,
            **{name: value for name, value in options.items() if value is not None},
        }
        return self._object(await self.request("POST", "/agents/register", body, again=True))

    async def unregister(self, agent: str) -> None:
        await self.request("DELETE", f"/agents/{segment(agent)}")

    async def heartbeat(self, agent: str, report: Json | None = None) -> Json:
        body = report and self._named(report)
        return self._object(
            await self.request("POST", f"/agents/{segment(agent)}/heartbeat", body, again=True)
        )

    async def agent_status(self, agent: str) -> Json:
        return self._object(await self.request("GET", f"/debug/agent/{segment(agent)}/status"))

    # the broker itself

    async def health(self) -> Json:
        return self._object(await self.request("GET", "/health"))

    async def connections(self) -> Json:
        return self._object(await self.request("GET", "/debug/connections"))

    async def backup(self, write: Callable[[bytes], object]) -> int:
        """`write` a copy of the store, in pieces; return its size. Refused 404, 405: old broker."""
        return await self._http.download("/backup", write, BACKUP_WAIT)

    # for observers: an older broker has none of these (404)

    async def overview(self, agent: str | None = None, limit: int | None = None) -> Overview:
        """Everything at this moment, or one agent (404: the broker has never seen its name)."""
        return Overview.from_json(await self.overview_json(agent, limit))

    async def overview_json(self, agent: str | None = None, limit: int | None = None) -> Json:
        """The same, as the broker's JSON."""
        return self._object(
            await self.request("GET", "/overview", query={"agent": agent, "limit": limit})
        )

    async def search(
        self,
        text: str | None = None,
        before: int | None = None,
        limit: int | None = None,
        **filters: str | None,
    ) -> SearchPage:
        """One page of tickets, newest first; filters are agent, origin, thread, status."""
        query = {"q": text, "before": before, "limit": limit, **filters}
        return SearchPage.from_json(self._object(await self.request("GET", "/search", query=query)))

    async def stream_events(
        self, agent: str | None = None, thread: str | None = None
    ) -> EventStreamReader:
        return await self._http.open_stream("/events", query={"agent": agent, "thread": thread})

    # streams

    async def stream_agent(
        self, agent: str, after: int, head_within: float | None = None
    ) -> EventStreamReader:
        path = f"/agents/{segment(agent)}/tickets/stream"
        return await self._http.open_stream(
            path, str(after) if after else "", self._named({}), head_within
        )

    async def stream_subscriber(
        self, subscriber: str, after: int, head_within: float | None = None
    ) -> EventStreamReader:
        query = self._named({"subscriber": subscriber})
        return await self._http.open_stream(
            "/tickets/stream", str(after) if after else "", query, head_within
        )

    async def stream_all(self, after: int) -> EventStreamReader:
        """All agents' tickets, for an observer."""
        return await self._http.open_stream(
            "/tickets/stream", str(after) if after else "", query={"observe": 1}
        )
