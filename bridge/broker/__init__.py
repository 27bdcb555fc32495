"""The broker: takes tickets over HTTP, keeps them on disk, pushes them to subscribers.

  the process     server.py         start, sweep, drain
                  opening.py        open the store and build the services
                  listener.py       the configured address, or passed sockets
                  tuning.py         settings of the process and of sockets
                  clock.py          wall clock and monotonic clock
                  services.py       all that a handler may use
  requests        fronts/           one connection of one protocol: bytes and sockets
                  routes.py         (method, path) -> handler
                  call.py           one request to one handler
                  handlers/         Call -> Answer
                  answers.py        the kinds of Answer
                  body.py           JSON in, within limits; JSON out
                  web/              the page: files that handlers/web.py serves
  tickets         operations.py     send, claim, acknowledge, reply, subscribe: for every front
                  stage_operations.py  shown, aside, drop, purge: for every front
                  ledger.py         every ticket's state; each change goes to the journal first
                  entry.py          one ticket as the broker holds it
                  transitions.py    which changes of a ticket are allowed: pure functions
                  backlog.py        pending tickets in order
                  limits.py         rates, and room for pending tickets
                  expiry.py         tickets with a time to live
                  search.py         a bounded look through tickets
                  journal/          durability: SQLite with group commit, or memory
  fan-out         hub.py            backlogs, subscribers and waiters of each agent
                  subscriber.py     one open stream
                  reply_stream.py   one awaited reply, as a stream
                  subscriptions.py  which agents a shared stream carries
                  receivers.py      which processes receive under a name
                  due.py            what a stream has still to send, in order
                  pace.py           long work in pieces, by time
                  waiters.py        callbacks by key
  agents          registry.py       agents and presence
                  watchers.py       the watchers that are there, and their reports
                  watcher_report.py one report of a watcher
                  agent_overview.py an agent at a glance
  observation     metrics/          counters, histograms, and the text for Prometheus
                  survey.py         totals over every known name
                  events.py         live events for GET /events, and their readers
                  live_event.py     the kinds of live events

A ticket's way: front -> route -> handler `send` -> operation `send` -> ledger.accept ->
journal (one group commit). When the group is on disk, the ledger applies it: backlog, hub,
subscribers; and the 202 goes out. No state change contains an await, so none
needs a lock.
"""
