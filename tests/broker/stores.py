"""Stores on a real disk: make rows, write them, and read entries back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bridge.broker.body import encode_text
from bridge.broker.entry import Entry
from bridge.broker.journal.base import (
    BirthRow,
    ChangeRow,
    Commit,
    Journal,
    Record,
    RegistrationRow,
    SubscriptionRow,
)
from bridge.broker.journal.sqlite import SqliteJournal
from broker.seams import WALL_MS

NOW = 500.0


def row(seq: int, agent: str = "lucy", payload: object = "hi", ttl_ms: int = 0) -> BirthRow:
    return BirthRow(
        seq, f"t{seq}", agent, '{"payload":%s}' % encode_text(payload), WALL_MS + seq, 30000, ttl_ms
    )


def entry_of(accepted: BirthRow) -> Entry:
    return Entry(
        accepted.seq, accepted.ticket_id, accepted.agent_id, accepted.body.encode(), *accepted[4:]
    )


def change_of(entry: Entry, state) -> ChangeRow:
    return ChangeRow(
        state.status,
        state.updated_ms,
        entry.memo(state),
        state.updated_ms if state.is_final else None,
        entry.seq,
    )


def accept(journal: Journal, accepted: BirthRow) -> Commit:
    return journal.propose(accepted)


def accept_all(journal: Journal, accepted: Iterable[BirthRow]) -> Commit:
    """Propose them as one record: its rows are one group, however many there are."""
    return journal.propose(Record(births=tuple(accepted)))


def change(journal: Journal, changed: ChangeRow) -> Commit:
    return journal.propose(Record(changes=(changed,)))


def put_agent(journal: Journal, agent_id: str, registration: str | None) -> Commit:
    return journal.propose(Record(agents=(RegistrationRow(agent_id, registration),)))


def put_subscription(
    journal: Journal, subscriber: str, agent_id: str, owed_seq: int | None
) -> Commit:
    row = SubscriptionRow(subscriber, agent_id, owed_seq)
    return journal.propose(Record(subscriptions=(row,)))


def looks(entry: Entry) -> tuple:
    return (
        entry.seq,
        entry.ticket_id,
        entry.agent_id,
        entry.data,
        entry.created_ms,
        entry.timeout_ms,
        entry.ttl_ms,
        entry.history(),
        entry.to_json(),
        entry.state.claim,
    )


def with_store(path, scenario):
    """Run `scenario(journal)` on the store, then close the journal."""

    async def main():
        journal = SqliteJournal(str(path))
        try:
            return await scenario(journal)
        finally:
            await journal.aclose()

    return asyncio.run(main())


def load(path):
    async def scenario(journal):
        return journal.load(WALL_MS, NOW)

    return with_store(path, scenario)
