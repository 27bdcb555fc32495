"""What the broker does for each route: (Request, Services, name) -> Answer.

`name` is the id in the path ("" where the route has none). No handler waits,
and none has ever seen a connection; errors are PeerErrors, which the front
turns into problem documents.

    agents.py    registration, heartbeats, subscriptions
    tickets.py   send, poll, claim, acknowledge, show
    streams.py   event streams
    subscribers.py  what is subscribed under a name, and polling all of it
    replies.py   replies and waiting for them
    pages.py     health, debug
    scrape.py    metrics
    backup.py    a copy of the store
    observation.py  overview, live events, search
    web.py       the page: files of broker/web
"""
