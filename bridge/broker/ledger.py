"""Every ticket and its state; each change goes to the journal first.

    accept, propose ──► journal's open group ──on disk──► born, changed: hub, metrics, waiters
                                             ──failed───► unborn, unchanged: they are dropped

Rule 1: a change joins the journal's open group. It is applied when that group is on
disk; only then are subscribers and waiters called. If the group fails, its new tickets
and changes are dropped, and so are those of every later group that was begun before
the failure was known (journal/group_commit.py). Only their seqs stay used.
Rule 2: a decision is made on the newest state, also one that is not on disk yet
(`entry.head`). Its answer waits for that state's group: the second of two replies is
refused only if the first one is really kept.
Rule 3: tickets that are pending or have a pending change are in memory. Finished ones
are read from the journal; the latest of them are remembered, within two bounds.
Rule 4: the mark that a ticket was streamed is no change. It is set in memory at once,
and is written with the ticket's next change.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Generator, Mapping
from functools import lru_cache, partial
from typing import Any, Callable, NamedTuple, Optional

from bridge.broker.body import canonical, weight
from bridge.broker.body import encode_text as quote
from bridge.broker.clock import Clock
from bridge.broker.entry import Entry, TicketState
from bridge.broker.hub import Hub
from bridge.broker.journal.base import BirthRow, ChangeRow, Commit, Journal, Record, StoreContents
from bridge.broker.limits import Bounds, check_room, check_stray
from bridge.broker.metrics.counters import Metrics
from bridge.errors import Reason, RequestError
from bridge.timestamp import rfc3339

quote_name = lru_cache(maxsize=256)(quote)  # most tickets are of the same few names
Stored = Optional[Commit]  # settled when it is on disk; None = it is on disk already


class NewTicket(NamedTuple):
    """A publisher's request, checked."""

    payload: Any
    metadata: Mapping[str, Any]
    origin: str = "ui"
    ticket_id: str | None = None
    expect_reply: bool = True
    timeout_ms: int = 30000
    ttl_ms: int = 0  # 0 = never expires


class Ledger:
    def __init__(
        self, journal: Journal, hub: Hub, clock: Clock, metrics: Metrics, bounds: Bounds
    ) -> None:
        self._journal = journal
        self._hub = hub
        self._clock = clock
        self._metrics = metrics
        self._bounds = bounds
        self.seq = 0
        self._coming_bytes = 0  # of tickets on their way to disk
        # Called for each new ticket that may expire (expiry.py).
        self.on_time_to_live: Callable[[Entry], None] = lambda entry: None
        self._held: dict[str, Entry] = {}  # pending, or with a pending write, by ticket id
        self._finished: OrderedDict[str, Entry] = OrderedDict()
        self._finished_bytes = 0
        # Wall clock. The journal is removing the tickets that were finished before.
        self._forgotten_ms = 0
        self._group: Stored = None
        self._births: list[Entry] = []
        self._changes: list[tuple[Entry, TicketState]] = []
        # Ids sort by time, so that the store's index grows at one end. The random part keeps the
        # ids of two stores apart.
        self._id_prefix = f"t{clock.wall_ms():011x}{os.urandom(2).hex()}"

    def load(self, kept: StoreContents) -> None:
        """Take over the tickets of a store."""
        self.seq = kept.last_seq
        for entry in kept.pending:
            self.hold(entry, None)
        self._publish(kept.pending)

    # Hot: once per ticket.
    def check_room(self, agent_id: str, is_stray: bool = False) -> None:
        """Is there room for one more? Raises RequestError."""
        hub = self._hub
        check_room(self._bounds, hub.backlogs.get(agent_id), hub.pending_bytes + self._coming_bytes)
        if is_stray:
            check_stray(self._bounds, agent_id, hub.backlogs.get(agent_id), hub.stray_bytes)

    # Hot: once per ticket.
    def accept(
        self, agent_id: str, draft: NewTicket, is_stray: bool = False
    ) -> tuple[Entry, Stored]:
        entry, row = self._draw_up(agent_id, draft, is_stray)
        commit = self._journal.propose(row)
        # The journal has the row now. Nothing below may fail; up to here only the seq has changed.
        self._join(commit)
        self._births.append(entry)
        self.hold(entry, commit)
        return entry, commit

    # Hot: once per ticket.
    def _draw_up(self, agent_id: str, draft: NewTicket, is_stray: bool) -> tuple[Entry, BirthRow]:
        self.seq = seq = self.seq + 1
        ticket_id = draft.ticket_id or f"{self._id_prefix}{seq:08x}"
        ticket_name = quote(ticket_id) if draft.ticket_id else f'"{ticket_id}"'
        created_ms = self._clock.wall_ms()
        at, agent = rfc3339(created_ms), quote_name(agent_id)
        expects = "true" if draft.expect_reply else "false"
        # The Ticket of HTTP_API.md as it is accepted. A format costs half as much as encoding a
        # dict. A test compares it with ticket.Ticket.
        text = (
            f'{{"ticketId":{ticket_name},"seq":{seq},"agentId":{agent},"targetAgent":{agent},'
            f'"originAgent":{quote_name(draft.origin)},"payload":{quote(draft.payload)},'
            f'"metadata":{quote(draft.metadata)},"status":"pending","expectReply":{expects},'
            f'"timeoutMs":{draft.timeout_ms},"response":null,"createdAt":"{at}","updatedAt":"{at}"}}'
        )
        entry = Entry(
            seq, ticket_id, agent_id, text.encode(), created_ms, draft.timeout_ms, draft.ttl_ms
        )
        entry.accepted_at = self._clock.monotonic()
        entry.is_stray = is_stray
        fields = seq, ticket_id, agent_id, text, created_ms, draft.timeout_ms, draft.ttl_ms
        # As BirthRow(*fields), in half the time: a NamedTuple's own `__new__` is in Python.
        return entry, tuple.__new__(BirthRow, fields)

    # Hot: once per ticket.
    def hold(self, entry: Entry, commit: Stored) -> None:
        """Count a ticket that is not born yet."""
        entry.commit = commit
        self._held[entry.ticket_id] = entry
        self._hub.hold(entry).reserved += 1
        self._coming_bytes += len(entry.data)

    def repeated(self, agent_id: str, draft: NewTicket) -> tuple[Entry, Stored] | None:
        """The ticket that has the draft's id already; None if there is none.

        Raises RequestError CONFLICT if that is a ticket with other contents.
        """
        assert draft.ticket_id is not None
        # Also one that is being pruned: while its row exists, no other ticket can have the id.
        entry = self._held.get(draft.ticket_id) or self._kept(draft.ticket_id)
        if entry is None:
            # The broker could give such an id to a later ticket.
            if draft.ticket_id.startswith(self._id_prefix):
                raise RequestError(
                    Reason.CONFLICT,
                    f"ticketId {draft.ticket_id!r} looks like one that the broker makes; "
                    "choose another",
                )
            return None
        if not _is_same_send(entry, agent_id, draft):
            raise RequestError(
                Reason.CONFLICT,
                f"ticketId {draft.ticket_id!r} is taken by another ticket; "
                "the same id must come with the same body",
            )
        return entry, entry.commit

    def find(self, ticket_id: str) -> Entry | None:
        """The ticket if it is on disk; None for one that is being pruned: it must not change."""
        entry = self._held.get(ticket_id)
        if entry is None:
            entry = self._kept(ticket_id)
        if entry is None or not entry.is_born:
            return None
        is_forgotten = entry.head.is_final and entry.head.updated_ms < self._forgotten_ms
        return None if is_forgotten else entry

    def _kept(self, ticket_id: str) -> Entry | None:
        return self._finished.get(ticket_id) or self._journal.find(ticket_id)

    def get(self, ticket_id: str) -> Entry:
        """The ticket. Raises RequestError NOT_FOUND."""
        entry = self.find(ticket_id)
        if entry is None:
            raise RequestError(
                Reason.NOT_FOUND,
                f"no ticket {ticket_id!r}: "
                "it was never accepted here, or its retention time is over",
            )
        return entry

    def read_before(self, seq: int) -> Generator[Entry, None, None]:
        """The tickets below the cursor, newest first. The caller must close the generator."""
        return self._journal.read_before(seq) or self._remembered_before(seq)

    def _remembered_before(self, seq: int) -> Generator[Entry, None, None]:
        known = {**self._finished, **self._held}
        found = [entry for entry in known.values() if entry.is_born and entry.seq < seq]
        yield from sorted(found, key=lambda entry: entry.seq, reverse=True)

    def forget(self, before_ms: int) -> None:
        """Forget the tickets that were finished before `before_ms`.

        The journal removes them in small steps. A change that is decided from now on might find
        no row.
        """
        self._forgotten_ms = max(self._forgotten_ms, before_ms)
        for entry in [
            entry for entry in self._finished.values() if entry.state.updated_ms < before_ms
        ]:
            del self._finished[entry.ticket_id]
            self._count(entry, 0)

    def propose(self, entry: Entry, state: TicketState, *sends: tuple[str, NewTicket]) -> Commit:
        """Make `state` the entry's state when it is on disk.

        `sends` are new tickets, each with its agent, that exist only if the change does.
        """
        finished_ms = state.updated_ms if state.is_final else None
        row = ChangeRow(state.status, state.updated_ms, entry.memo(state), finished_ms, entry.seq)
        births = [self._draw_up(agent_id, draft, False) for agent_id, draft in sends]
        record = Record([birth for _, birth in births], (row,), heads=(entry.head,))
        commit = self._journal.propose(record)
        # As in `accept`: nothing below may fail.
        if state.is_final:
            entry.weight = weight(row.memo)
        self._join(commit)
        for ticket, _ in births:
            self._births.append(ticket)
            self.hold(ticket, commit)
        self._changes.append((entry, state))
        entry.next, entry.commit = state, commit
        self._held[entry.ticket_id] = entry
        return commit

    def _join(self, commit: Commit) -> None:
        # One effect for many: states are applied before any answer is sent.
        if commit is not self._group:
            self._group, self._births, self._changes = commit, [], []
            commit.add_effect(partial(self._apply, self._births, self._changes))

    def divide(self) -> None:
        """Apply what is proposed from now on after the effects that the open group has by now.

        A record of another kind calls this, if later tickets must find it applied.
        """
        self._group = None

    def _apply(
        self, births: list[Entry], changes: list[tuple[Entry, TicketState]], commit: Commit
    ) -> None:
        if commit.result() is None:
            self.born(births)
            for entry, state in changes:
                self.changed(entry, state)
        else:
            self.unborn(births)
            for entry, state in changes:
                self.unchanged(entry, state)

    def born(self, births: list[Entry]) -> None:
        """The tickets are on disk. They are in seq order, and `hold` was called for each."""
        if births and births[-1].seq > self.seq:
            self.seq = births[-1].seq
        self._metrics.accepted(births, self._clock.monotonic())
        self._publish(births)

    def _publish(self, births: list[Entry]) -> None:
        for entry in births:
            self._hub.backlogs[entry.agent_id].reserved -= 1
            self._coming_bytes -= len(entry.data)
            entry.is_born = True
            if entry.ttl_ms:
                entry.expires_at = entry.expires_at or self._clock.monotonic() + entry.ttl_ms / 1000
            if entry.ttl_ms or entry.is_stray:
                self.on_time_to_live(entry)
        self._hub.publish(births)

    def unborn(self, births: list[Entry]) -> None:
        """The tickets were not kept: forget them."""
        for entry in births:
            # Another broker's ticket with the same id may be born already.
            if self._held.get(entry.ticket_id) is entry:
                del self._held[entry.ticket_id]
            backlog = self._hub.backlogs[entry.agent_id]
            backlog.reserved -= 1
            self._coming_bytes -= len(entry.data)
            self._hub.let_go(entry)
            self._hub.release(backlog)

    def changed(self, entry: Entry, state: TicketState, is_ours: bool = True) -> None:
        """`state` is on disk. If it is not `is_ours`, no own proposal that waits can be kept."""
        before, entry.state = entry.state, state
        self._metrics.changed(entry, before, self._clock.monotonic())
        if state.is_final and not before.is_final:
            self._hub.withdraw(entry)
        self._settle(entry, state if is_ours else entry.next)
        is_over = state.has_ended and not before.has_ended  # no reply will come
        if is_over or (state.response is not None and before.response is None):
            self._hub.replies.wake_all(entry.ticket_id)
        if state.stages is not before.stages:
            self._hub.stages.wake_all(entry.ticket_id)

    def unchanged(self, entry: Entry, state: TicketState) -> None:
        """The own proposal `state` was not kept."""
        self._settle(entry, state)

    def _settle(self, entry: Entry, state: TicketState | None) -> None:
        """If `state` is the newest proposal, later answers need not wait."""
        if entry.next is state:
            entry.next = entry.commit = None
        if entry.state.is_final and entry.next is None:
            self._held.pop(entry.ticket_id, None)
            self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        self._count(entry, len(entry.data) + entry.weight)  # the weight has reply and evidence
        self._finished[entry.ticket_id] = entry
        self._finished.move_to_end(entry.ticket_id)
        while len(self._finished) > self._bounds.finished_max or (
            self._finished_bytes > self._bounds.finished_bytes and len(self._finished) > 1
        ):
            _, oldest = self._finished.popitem(last=False)
            self._count(oldest, 0)

    def _count(self, entry: Entry, size: int) -> None:
        self._finished_bytes += size - entry.counted
        entry.counted = size


def _is_same_send(entry: Entry, agent_id: str, draft: NewTicket) -> bool:
    """Would this send make the ticket that `entry` is, but for its times?"""
    if entry.agent_id != agent_id:
        return False
    fields = entry.decoded()
    kept = [fields[name] for name in ("payload", "metadata", "expectReply", "timeoutMs")]
    asked = [draft.payload, draft.metadata, draft.expect_reply, draft.timeout_ms]
    return canonical([*kept, entry.ttl_ms]) == canonical([*asked, draft.ttl_ms])
