"""The I/O shells: one connection of one protocol, bytes in, bytes out.

    http.py         one HTTP/1.1 connection: requests in order, answers in order
    responses.py    Reply -> bytes
    outbox.py       where an event stream's bytes go
"""
