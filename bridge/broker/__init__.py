"""The broker: takes tickets over HTTP, keeps them on disk, pushes them to whoever waits.

    server.py      start, sweep, drain                  fronts/http.py  one connection
    listening.py   where it listens, also on passed sockets
    routes.py      (method, path) -> handler            handlers/       (Request, Services) -> Reply
    guard.py       whose Host and Origin may ask        body.py         JSON in, within limits
    web/           the page: files that handlers/web.py serves
    ledger.py      every ticket's state; each change goes to the journal first
    backlog.py     one agent's pending tickets          entry.py        one ticket as the broker holds it
    hub.py         who must be told of a ticket         subscriber.py   one open stream; reply_stream.py one awaited reply
    due.py         what a stream is owed, in order      pace.py         work in pieces, by time
    subscriptions.py  which agents a shared stream carries
    journal/       durability: SQLite with group commit, or memory
    registry.py    agents, presence, reports            limits.py       sends a minute
    metrics.py     told of every stage; counters        timeline.py     the last two minutes, latency of each hop
    reported.py    watchers' numbers, added up          distribution.py how many values fell into which bin
    families.py    every metric by name                 exposition.py   Prometheus text and OpenMetrics
    process.py     this process: CPU, memory
    events.py      live events for who follows them     agent_rows.py   an agent at a glance
    search.py      a bounded look through tickets       expiry.py       tickets with a time to live
    waiters.py     who is woken for a key               transitions.py  what may happen to a ticket: pure functions

A ticket's way: front -> route -> handler `send` -> ledger.accept -> journal
(one group commit) -> ledger applies it: backlog, hub -> subscribers, and the
202 goes out. No state change contains an await, so none needs a lock.
"""
