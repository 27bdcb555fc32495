"""The handler of each route: Call -> Answer.

No handler waits, and none sees a connection. An error has a Reason, and answers.py has the
status of each.

    agents.py       registration, heartbeats, subscriptions
    tickets.py      send, poll, claim, acknowledge
    history.py      a ticket with its history; shown, aside
    dropping.py     an operator ends tickets: drop, purge
    streams.py      event streams
    subscribers.py  the agents that are subscribed under a name, and one poll for all of them
    replies.py      replies, and waiting for them
    observation.py  overview, live events, search
    pages.py        health, debug
    scrape.py       metrics
    backup.py       a copy of the store
    web.py          the page: files of broker/web

A handler checks the request and makes the answer. operations.py and stage_operations.py decide
what happens to tickets. The front sends the answer.
"""
