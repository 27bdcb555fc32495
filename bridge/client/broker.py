"""WIRE's request table as methods: each is one request, its answer a value or Refused.

Nothing here retries or remembers; the callers that must not lose a ticket do. Only a wait that is
longer than the broker grants to one request is several requests.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any, Callable
from urllib.parse import parse_qs

from bridge.client.address import segment
from bridge.client.http import Answer, EventStream, HttpClient, Query, check
from bridge.client.observation import Found, Overview
from bridge.errors import ConnectionLost, Refused
from bridge.settings import ClientSettings
from bridge.ticket import Ticket

Json = Mapping[str, Any]
WAIT_MAX = 60_000  # ms, the longest wait that the broker grants to one request (WIRE)
REASON_MAX = 512  # characters that the broker keeps of why a ticket was set aside
AGENTS_PAGE = 500  # agents of one answer: some 200 kB
BACKUP_WAIT = 3600.0  # seconds that a broker has for a copy, as its own bound
ABSENT = frozenset({404, 405})  # how a broker that is too old for a question refuses it


class BrokerClient:
    """One broker, asked in its own words."""

    def __init__(self, settings: ClientSettings) -> None:
        self._http = HttpClient(settings)
        self.watcher: str | None = (
            None  # which watcher receives by this client: what it leaves behind ends with it
        )

    @property
    def url(self) -> str:
        return str(self._http.address)

    async def __aenter__(self) -> BrokerClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Query | None = None,
        wait: float = 0.0,
        again: bool | None = None,
    ) -> Answer:
        """One request; raises Refused unless the answer is 2xx."""
        return check(await self._http.request(method, path, body, query, wait, again))

    # tickets

    async def send(self, agent: str, payload: object, **options: object) -> Json:
        """POST /agents/{id}/send; options are the camelCase keys of WIRE's table, None = absent."""
        body = {
            "payload": payload,
            **{name: value for name, value in options.items() if value is not None},
        }
        again = "ticketId" in body  # the idempotency key, WIRE rule 2
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
        """`observe`: a look that is no reception, as far as the broker knows the difference."""
        return await self._pending(f"/agents/{segment(agent)}", after, wait_ms, limit, observe)

    async def _pending(
        self, whose: str, after: int, wait_ms: int, limit: int | None, observe: bool = False
    ) -> list[Ticket]:
        query = {
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
        """A terminal has the whole ticket. Refused 404 or 405: the broker knows no such stage."""
        said = (("pane", pane), ("tty", tty), ("terminal", terminal))
        body = {name: value for name, value in said if value}
        return self._object(
            await self.request("POST", f"/tickets/{segment(ticket)}/shown", body, again=True)
        )

    async def aside(self, ticket: str, watcher: str, reason: str) -> None:
        """The watcher lets other tickets pass this one. Refused 404 or 405: the broker knows no such stage."""
        body = {"watcher": watcher, "reason": reason[:REASON_MAX]}
        await self.request("POST", f"/tickets/{segment(ticket)}/aside", body, again=True)

    async def drop(self, ticket: str, reason: str) -> Json:
        """End a ticket that is pending; `dropped` is 0, and `status` says why, where it is not."""
        path = f"/tickets/{segment(ticket)}"
        return self._object(
            await self.request("DELETE", path, query={"reason": reason[:REASON_MAX]})
        )

    async def purge(self, agent: str, reason: str) -> int:
        """End all that is pending for the agent; how many tickets that were."""
        path, query = f"/agents/{segment(agent)}/tickets/pending", {"reason": reason[:REASON_MAX]}
        total, left = 0, 1
        while left:
            answer = self._object(await self.request("DELETE", path, query=query))
            total += int(answer.get("dropped") or 0)
            left = int(answer.get("left") or 0) if answer.get("dropped") else 0
        return total

    async def wait_shown(self, ticket_id: str, timeout_seconds: float) -> list[Json] | None:
        """Wait until `show` has shown the ticket; the evidence of each time, {pane?, tty?}.

        [] when the time is up; None where the broker knows no such stage. Raises Refused 404 where
        it no longer knows the ticket, BrokerUnreachable.
        """
        path, deadline = f"/tickets/{segment(ticket_id)}", time.monotonic() + timeout_seconds
        while True:
            left = max(0, deadline - time.monotonic())
            query = {"stage": "shown", "waitMs": min(WAIT_MAX, math.ceil(left * 1000))}
            try:
                answer = await self.request("GET", path, query=query, wait=left)
            except Refused as error:
                if error.status in ABSENT and not error.is_problem:
                    return None  # the predecessor's
                raise
            ticket = self._object(answer)
            if ticket.get("awaited") != "shown":
                return None  # an older one of ours: it answers at once
            found = [
                stage.get("evidence")
                for stage in ticket.get("history") or ()
                if stage.get("stage") == "shown"
            ]
            if found or time.monotonic() >= deadline:
                return [evidence if isinstance(evidence, dict) else {} for evidence in found]

    # subscriptions: many agents under one name (WIRE, shared stream)

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

    def _named(self, fields: Json) -> Json:
        return fields if self.watcher is None else {**fields, "watcher": self.watcher}

    async def subscriber(self, subscriber: str) -> Json:
        """Which agents the name has, which of them are this watcher's own, and how many receive under it."""
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
        """The ticket once it is replied to, or will never be; None when `wait_ms` passed without."""
        query = {"waitMs": wait_ms, "ended": 1}
        answer = await self.request(
            "GET", f"/replies/{segment(ticket)}", query=query, wait=wait_ms / 1000
        )
        return None if answer.status == 204 else self._object(answer)

    # agents

    async def agents(self, **filters: str | None) -> list[Json]:
        """All of them, page after page; a broker that is older puts all on the first one."""
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
        """`write` a copy of the store, piece by piece; its size. Refused 404, 405: too old."""
        return await self._http.download("/backup", write, BACKUP_WAIT)

    # looking on: a broker that is older has none of these (404)

    async def overview(self, agent: str | None = None, limit: int | None = None) -> Overview:
        """Everything at this moment, or one agent (404: nobody ever named it)."""
        return Overview.from_json(await self.overview_json(agent, limit))

    async def overview_json(self, agent: str | None = None, limit: int | None = None) -> Json:
        """The same as the broker put it."""
        return self._object(
            await self.request("GET", "/overview", query={"agent": agent, "limit": limit})
        )

    async def search(
        self,
        text: str | None = None,
        before: int | None = None,
        limit: int | None = None,
        **filters: str | None,
    ) -> Found:
        """One page of tickets, newest first; filters are agent, origin, thread, status."""
        query = {"q": text, "before": before, "limit": limit, **filters}
        return Found.from_json(self._object(await self.request("GET", "/search", query=query)))

    async def stream_events(
        self, agent: str | None = None, thread: str | None = None
    ) -> EventStream:
        return await self._http.open_stream("/events", query={"agent": agent, "thread": thread})

    # streams

    async def stream_agent(
        self, agent: str, after: int, head_within: float | None = None
    ) -> EventStream:
        path = f"/agents/{segment(agent)}/tickets/stream"
        return await self._http.open_stream(
            path, str(after) if after else "", self._named({}), head_within
        )

    async def stream_subscriber(
        self, subscriber: str, after: int, head_within: float | None = None
    ) -> EventStream:
        query = self._named({"subscriber": subscriber})
        return await self._http.open_stream(
            "/tickets/stream", str(after) if after else "", query, head_within
        )

    async def stream_all(self, after: int) -> EventStream:
        """Every agent's tickets, to look at them."""
        return await self._http.open_stream(
            "/tickets/stream", str(after) if after else "", query={"observe": 1}
        )

    def _object(self, answer: Answer) -> Json:
        if not isinstance(answer.json, dict):
            raise ConnectionLost(
                f"{self.url} answered with something else than a JSON object; is it a bridge broker?"
            )
        return answer.json

    def _list(self, answer: Answer) -> list[Any]:
        if not isinstance(answer.json, list):
            raise ConnectionLost(
                f"{self.url} answered with something else than a JSON list; is it a bridge broker?"
            )
        return answer.json


def next_after(link: str) -> str | None:
    """The cursor of the next page, from a Link field with rel="next" (RFC 8288); None on the last page."""
    found = re.search(r'<[^>?]*\?([^>]*)>\s*;\s*rel="?next"?', link)
    return parse_qs(found[1]).get("after", [None])[0] if found else None
