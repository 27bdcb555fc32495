"""Durability. `Journal` is the seam; SQLite with group commit, or memory, stand behind it.

base.py     the seam: rows in, one future per group out
groups.py   which rows travel together, and when a group leaves
sqlite.py   the store of `--db PATH`: schema, migrations, locks, reads
files.py    the files at that path, and whether they are still the open ones
writer.py   the one thread that writes
backup.py   a copy of the store while it is in use
trouble.py  what is said while it cannot
memory.py   `--db :memory:`: keeps nothing
"""
