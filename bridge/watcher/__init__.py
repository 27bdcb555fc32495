"""Receives tickets, for one agent or for many, and hands each to its agent's sink, once.

    broker ─► transport ─► inbox of each agent ─► sink ─► pane, stdout or a command
                  ▲                 └─ claim before, acknowledge after
               tiers (which one now?)

    tiers.py         which tier to use, from what happened; pure
    inbox.py         order, once, waiting → claimed → injected → finished; pure
    transport/       the three tiers (stream, long-poll, poll) behind one small protocol
    sinks/           where a ticket goes: a tmux pane, stdout, a command
    receiver.py      transport → inboxes: reconnect, back off, keep the cursor; one for all agents
    recipient.py     one agent's end of the receiver, and its catch-up from the backlog
    delivery.py      inbox → claim → sink → acknowledge
    lease.py         claims, their renewal, and the meaning of the broker's answers
    delays.py        the pauses before the next try
    sink_wait.py     the wait until a sink is ready, and its reason
    report.py        the watcher's report about itself to the broker
    agent_tasks.py   all tasks and state of one agent
    session.py       `watch`: a receiver and one agent
    supervisor.py    `supervise`: a receiver and many agents
    subscription.py  the agents that the broker sends under our name
    discovery/       which agents to serve, and in which panes

Only sinks/pane.py and discovery/sources.py use bridge.tmux. Nothing here imports bridge.broker.
"""
