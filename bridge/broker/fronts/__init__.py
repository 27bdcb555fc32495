"""The I/O shells: one connection of one protocol, bytes in, bytes out.

    http.py              one HTTP/1.1 connection: requests in, answers out, in the same order
    connection_state.py  its states, and the table of its moves
    reading.py           its reading half
    closing.py           how it ends: deadlines, refusals, cuts
    responses.py         Response -> bytes
    outbox.py            the bytes of one event stream
    download.py          a file that is being sent
    loop_budget.py       how much of one turn of the loop requests may take
    held_bytes.py        what all connections hold together, and which one is cut
    heartbeats.py        one timer for the heartbeats of every stream
    access_log.py        access log, response counters, request ids
    sweep.py             overdue connections, a few in a turn
    write_progress.py    a peer that reads nothing
    cors.py              what a browser on another origin may read
    origin_policy.py     which Host and Origin are allowed
    server_context.py    what a connection needs of its server

A front handles bytes and its protocol. It decides nothing about tickets.
"""
