"""Hostile requests: ambiguous ones that two parsers read differently, and mutated valid ones."""

from __future__ import annotations

from hypothesis import strategies as st
from raw_http import request_bytes


def smuggled(victim: str) -> bytes:
    return request_bytes("POST", f"/agents/{victim}/send", {"payload": "smuggled"}, port=1).replace(
        b"127.0.0.1:1", b"localhost"
    )


def head(*lines: str, start: str = "POST /agents/a/send HTTP/1.1", host: bool = True) -> bytes:
    return (
        "\r\n".join([start, *(["Host: localhost"] if host else []), *lines]).encode("latin-1")
        + b"\r\n\r\n"
    )


# Each is the beginning of a request that two parsers may read differently. The tests send a whole
# request behind it. A broker that answers this second request is open to request smuggling.
AMBIGUOUS = {
    "CL.TE": head("Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE.CL": head("Transfer-Encoding: chunked", "Content-Length: 4") + b"0\r\n\r\n",
    "TE twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"0\r\n\r\n",
    "TE identity": head("Transfer-Encoding: identity") + b"0\r\n\r\n",
    "TE not last": head("Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "TE chunked twice": head("Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "TE with a vertical tab": head("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    "TE with a quote": head('Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "TE xchunked": head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "TE with space before the colon": head("Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "TE folded": head("Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n",
    "TE in HTTP/1.0": head("Transfer-Encoding: chunked", start="POST /agents/a/send HTTP/1.0")
    + b"0\r\n\r\n",
    "CL plus": head("Content-Length: +0"),
    "CL minus": head("Content-Length: -0"),
    "CL hex": head("Content-Length: 0x0"),
    "CL list": head("Content-Length: 0, 0"),
    "CL differing list": head("Content-Length: 0, 5"),
    "CL twice differing": head("Content-Length: 0", "Content-Length: 5"),
    "CL underscore": head("Content-Length: 0_0"),
    "CL not ASCII": head("Content-Length: \xb2"),
    "CL empty": head("Content-Length:"),
    "CL with space inside": head("Content-Length: 0 0"),
    "CL huge": head("Content-Length: " + "9" * 30),
    "CL with space before the colon": head("Content-Length : 0"),
    "a bare LF after a field": head("X: a\nContent-Length: 5").replace(b"\r\n\r\n", b"\r\n\r\n", 1),
    "a bare LF as the end": b"POST /agents/a/send HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
    "a bare CR in a value": head("X: a\rContent-Length: 5"),
    "a NUL in a value": head("X: a\x00b"),
    "a NUL in a name": head("X\x00: a"),
    "no colon": head("X-nothing"),
    "an empty name": head(": value"),
    "a folded line": head("X: a", " folded"),
    "a folded line with a tab": head("X: a", "\tfolded"),
    "a first line that is folded": head(" X: a"),
    "two Hosts": head("Host: localhost"),
    "two Hosts, one foreign": head("Host: evil.example"),
    "no Host": head(host=False),
    "an empty Host": head("Host:", host=False),
    "a Host with a path": head("Host: localhost/evil", host=False),
    "a Host with two ports": head("Host: localhost:1:2", host=False),
    "a Host with user": head("Host: a@localhost", host=False),
    "a chunk size with plus": head("Transfer-Encoding: chunked") + b"+0\r\n\r\n",
    "a chunk size with 0x": head("Transfer-Encoding: chunked") + b"0x0\r\n\r\n",
    "a chunk size with a space before": head("Transfer-Encoding: chunked") + b" 0\r\n\r\n",
    "a chunk size of nothing": head("Transfer-Encoding: chunked") + b"\r\n\r\n",
    "a negative chunk size": head("Transfer-Encoding: chunked") + b"-1\r\n\r\n",
    "a chunk size that overflows": head("Transfer-Encoding: chunked")
    + b"1"
    + b"0" * 16
    + b"\r\n\r\n",
    "a chunk size with an underscore": head("Transfer-Encoding: chunked") + b"0_0\r\n\r\n",
    "a chunk that ends in LF": head("Transfer-Encoding: chunked") + b"1\nx\n0\n\n",
    "a chunk longer than its size": head("Transfer-Encoding: chunked") + b"1\r\nxx\r\n0\r\n\r\n",
    "a chunk extension with a bare LF": head("Transfer-Encoding: chunked") + b"0;a=\nb\r\n\r\n",
    "a chunk extension with a bare CR": head("Transfer-Encoding: chunked") + b"0;a=\rb\r\n\r\n",
    "a trailer with a bare LF": head("Transfer-Encoding: chunked") + b"0\r\nX: a\nY: b\r\n\r\n",
    "a trailer that is no field": head("Transfer-Encoding: chunked")
    + b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "a method with a separator": head(start="PO(ST /agents/a/send HTTP/1.1"),
    "two spaces": head(start="POST  /agents/a/send HTTP/1.1"),
    "a tab for a space": head(start="POST\t/agents/a/send HTTP/1.1"),
    "a trailing space": head(start="POST /agents/a/send HTTP/1.1 "),
    "HTTP/0.9": b"POST /agents/a/send\r\n\r\n",
    "HTTP/2": head(start="POST /agents/a/send HTTP/2.0"),
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.10": head(start="POST /agents/a/send HTTP/1.10"),
    "HTTP/11": head(start="POST /agents/a/send HTTP/11"),
    "http/1.1": head(start="POST /agents/a/send http/1.1"),
    "a fragment": head(start="POST /agents/a/send#x HTTP/1.1"),
    "a raw byte in the target": head(start="POST /agents/\xe9/send HTTP/1.1"),
    "a control in the target": head(start="POST /agents/\x01/send HTTP/1.1"),
    "no slash": head(start="POST agents/a/send HTTP/1.1"),
    "CONNECT": head(start="CONNECT localhost:1 HTTP/1.1"),
    "another scheme": head(start="POST ftp://localhost/agents/a/send HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128)) + b"\r\n\r\n",
}

VALID = [
    b"POST /agents/fuzz/send HTTP/1.1\r\nHost: localhost\r\n"
    b'Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{"payload":1}',
    b"POST /agents/fuzz/send HTTP/1.1\r\nHost: localhost\r\n"
    b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"payload":1}\r\n0\r\n\r\n',
    b"GET /agents/fuzz/tickets/pending?waitMs=5&after=3 HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: close\r\n\r\n",
    b"GET /agents/fuzz/tickets/stream HTTP/1.0\r\nHost: localhost\r\nLast-Event-ID: 4\r\n\r\n",
    b"GET http://localhost/tickets/abc HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "double"]))
        if kind == "insert":
            data[at:at] = draw(
                st.sampled_from(
                    [
                        b"\r",
                        b"\n",
                        b"\r\n",
                        b" ",
                        b"\t",
                        b"\x00",
                        b":",
                        b",",
                        b"%",
                        b"\xff",
                        b"0",
                        b"chunked",
                        b"\r\n\r\n",
                    ]
                )
                | st.binary(max_size=3)
            )
        elif kind == "replace":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 5))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)
