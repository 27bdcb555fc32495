"""How anything of ours asks a broker; the server's side is in broker/.

address.py     a broker URL, checked: scheme, host, port, path prefix
connection.py  one socket: bytes out, wire.response events in, deadlines
http.py        HttpClient: one request -> one Answer; one request -> an EventStream
broker.py      BrokerClient: WIRE's request table as methods
"""
