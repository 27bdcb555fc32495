"""The I/O shells: one connection of one protocol, bytes in, bytes out.

http.py         one HTTP/1.1 connection: requests in order, answers in order
reading.py      its reading half
responses.py    Reply -> bytes
outbox.py       where an event stream's bytes go
download.py     a file on its way
loop_budget.py  how much of one turn of the loop requests may take
held_bytes.py   what all connections hold together, and which one is cut
heartbeats.py   one timer for the heartbeats of every stream
witness.py      what is counted and logged of each answer; request ids
stuck.py        a peer that reads nothing
cors.py         what a browser on another origin may read
"""
