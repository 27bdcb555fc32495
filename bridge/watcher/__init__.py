"""Receives tickets, of one agent or of many, and hands each to its agent's sink, once.

broker ─► transport (stream, long-poll, poll) ─► inbox of each agent ─► sink ─► pane, stdout or a command
              ▲                                       └─ claim before, acknowledge after
           ladder (which tier now?)

ladder.py     which tier to use, from what happened; pure
inbox.py      order, once, waiting → claimed → injected → acked; pure
transport/    the three tiers behind one small protocol
sinks/        where a ticket goes: a tmux pane, stdout, a command
intake.py     transport → inboxes: reconnects, backs off, keeps the cursor; one for all agents
arrivals.py   one agent's end of it: what has no room is left with the broker, and read later
delivery.py   inbox → claim → sink → acknowledge
report.py     what the watcher tells the broker about itself
agent_watch.py   all that one agent has of its own
session.py       `watch`: an intake and one agent
supervisor.py    `supervise`: an intake and many agents
subscription.py  what the broker sends us under our name
roster.py        who is to be served, and where: words, files; pure
enrolment.py     the same as it changes: file, registry, sessions
"""
