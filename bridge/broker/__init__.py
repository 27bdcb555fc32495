"""The broker: takes tickets over HTTP, keeps them on disk, pushes them to whoever waits.

    server.py      start, accept, sweep, drain          fronts/http.py  one connection
    routes.py      (method, path) -> handler            handlers/       (Request, Services) -> Reply
    guard.py       whose Host and Origin may ask        body.py         JSON in, within limits
    ledger.py      every ticket's state; each change goes to the journal first
    backlog.py     one agent's pending tickets          entry.py        one ticket as the broker holds it
    hub.py         who must be told of a ticket         subscriber.py   one open stream; longpoll.py one waiting poll
    journal/       durability: SQLite with group commit, or memory
    registry.py    agents, presence, reports            limits.py       sends a minute
    metrics.py     counters                             heartbeats.py   one timer for every stream

A ticket's way: front -> route -> handler `send` -> ledger.accept -> journal
(one group commit) -> ledger applies it: backlog, hub -> subscribers, and the
202 goes out. No state change contains an await, so none needs a lock.
"""
