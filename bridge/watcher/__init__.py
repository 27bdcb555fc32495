"""Receives one agent's tickets and hands each to a sink, once.

    broker ─► transport (stream, long-poll, poll) ─► inbox ─► sink ─► pane, stdout or a command
                  ▲                                    └─ claim before, acknowledge after
               ladder (which tier now?)

    ladder.py     which tier to use, from what happened; pure
    inbox.py      order, once, waiting → claimed → injected → acked; pure
    transport/    the three tiers behind one small protocol
    sinks/        where a ticket goes: a tmux pane, stdout, a command
    intake.py     transport → inbox: reconnects, backs off, keeps the cursor
    delivery.py   inbox → claim → sink → acknowledge
    report.py     what the watcher tells the broker about itself
    session.py    one agent: owns the three tasks above and their end
"""
