"""Durability. `Journal` is the seam. Behind it are SQLite with group commit, and memory.

    base.py          the seam: `Journal`, its rows, and one Commit per group
    group_commit.py  group commit: which rows are written together, and when
    sqlite.py        the store of `--db PATH`: opening, checks, migrations, reads, loss
    schema.py        its tables by version, and its statements
    files.py         its files: lock, links, and whether they are still the open ones
    writer.py        the one thread that writes and prunes
    failure_log.py   the log lines about failed commits
    backup.py        a copy of the store while it is in use
    memory.py        `--db :memory:`: keeps nothing

The ledger decides what is written. The journal makes it durable, in order.
"""
