"""Bytes in, values out. No sockets, no clock, no logging, no tickets.

    request.py   RequestParser: HTTP/1.1 requests of a connection (RFC 9110, 9112)
    head.py      one request head, from its bytes to a value
    response.py  ResponseParser (client side) and encoders of heads and chunks
    sse.py       encode_event / EventStreamDecoder (WHATWG HTML 9.2)

    fields.py    lines, fields and Limits, for both kinds of head
    target.py    request-target, Host, percent-encoding
    chunked.py   the chunked coding, both directions

The parsers never wait: they take bytes in any slices, and return what is complete.
"""
