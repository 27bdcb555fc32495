"""How our programs make requests to a broker. The server's side is in broker/.

    address.py          a broker URL, checked: scheme, host, port, path prefix
    connection.py       one socket: bytes out, wire.response events in, deadlines
    http.py             HttpClient: one request -> one Answer; one request -> an EventStream
    broker_requests.py  BrokerRequests: a request whose answer is checked, or Refused
    broker.py           BrokerClient: the requests of HTTP_API.md as methods
    reconnecting.py     an event stream that is opened again after each break
    observation.py      overview, events and search results as values

Nothing here retries a request that may take effect twice.
"""
