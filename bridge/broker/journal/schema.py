"""The store's schema, and the migrations from older versions.

`tickets.body` is the ticket as it was accepted, and never changes. `memo` holds the parts
of its state that no query needs (entry.py).

The price of a commit is the number of pages that it writes. An accepted ticket changes the
table and the index of the ids, and nothing else:
- There is no index of pending tickets. At its start the broker reads the table once.
- There is no AUTOINCREMENT. The counter `last_seq` makes sure that no seq is used twice; it is
  written before rows are pruned. A store of version 1 keeps its AUTOINCREMENT, because only a
  copy of the table would remove it. It does no harm.
"""

from __future__ import annotations

VERSION = 2
SCHEMA = """
    CREATE TABLE tickets (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        body TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        timeout_ms INTEGER NOT NULL,
        ttl_ms INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending',
        updated_ms INTEGER NOT NULL DEFAULT 0,
        memo TEXT,
        finished_ms INTEGER
    );
    CREATE INDEX finished ON tickets (finished_ms) WHERE finished_ms IS NOT NULL;
    CREATE TABLE agents (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE subscriptions (
        subscriber TEXT NOT NULL,
        agent TEXT NOT NULL,
        owed_seq INTEGER NOT NULL,
        PRIMARY KEY (subscriber, agent)
    ) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters (name, value) VALUES ('last_seq', 0);
"""
# MIGRATIONS[n] takes a store from version n to n + 1.
MIGRATIONS = {
    1: """
    DROP INDEX pending;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters (name, value)
        SELECT 'last_seq', coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tickets';
    """,
}
APPLICATION_ID = 0x62726467  # "brdg"; PRAGMA application_id marks the file as ours
ACCEPT_COLUMNS = "seq, id, agent, body, created_ms, timeout_ms, ttl_ms"
READ_COLUMNS = ACCEPT_COLUMNS + ", status, updated_ms, memo"
CHANGE = "UPDATE tickets SET status = ?, updated_ms = ?, memo = ?, finished_ms = ? WHERE seq = ?"
PUT_AGENT = "INSERT OR REPLACE INTO agents (id, record) VALUES (?, ?)"
DROP_AGENT = "DELETE FROM agents WHERE id = ?"
PUT_SUBSCRIPTION = (
    "INSERT OR REPLACE INTO subscriptions (subscriber, agent, owed_seq) VALUES (?, ?, ?)"
)
DROP_SUBSCRIPTION = "DELETE FROM subscriptions WHERE subscriber = ? AND agent = ?"
NEWEST = (
    "SELECT max((SELECT coalesce(max(finished_ms), 0) FROM tickets WHERE finished_ms IS NOT NULL),"
    " coalesce((SELECT created_ms FROM tickets ORDER BY seq DESC LIMIT 1), 0))"
)
LAST_SEQ = """
    SELECT max(value, coalesce((SELECT max(seq) FROM tickets), 0))
    FROM counters WHERE name = 'last_seq'
"""
KEEP_LAST_SEQ = """
    UPDATE counters SET value = (SELECT max(seq) FROM tickets)
    WHERE name = 'last_seq' AND value < (SELECT max(seq) FROM tickets)
"""
# Walks the index of the finished tickets, and stops at a number of characters or rows. A deleted
# row is read, for its length and for its pages. ?1 before_ms, ?2 characters, ?3 rows.
PRUNE = """
    DELETE FROM tickets WHERE seq IN (
        WITH RECURSIVE old(seq, finished_ms, size, count) AS (
            SELECT -1, -1, 0, 0
            UNION ALL
            SELECT later.seq, later.finished_ms,
                   size + length(later.body) + length(coalesce(later.memo, '')), count + 1
            FROM old JOIN tickets AS later ON later.seq = (
                SELECT seq FROM tickets
                WHERE finished_ms < ?1 AND (finished_ms, seq) > (old.finished_ms, old.seq)
                ORDER BY finished_ms, seq LIMIT 1
            )
            WHERE size < ?2 AND count < ?3
        )
        SELECT seq FROM old
    )
"""
