"""The requests that a peer sends to a SmallServer, and a reader for the responses."""

from __future__ import annotations

import asyncio
import json

from bridge.wire.request import Limits
from bridge.wire.response import BodyData, BodyEnd, ResponseHead, ResponseParser


def request(
    method: str, path: str, content: object = None, fields: str = "", version: str = "1.1"
) -> bytes:
    body = b"" if content is None else json.dumps(content).encode()
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (
        f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n{length}{fields}\r\n".encode() + body
    )


SEND = request("POST", "/agents/lucy/send", {"payload": "hi"})
HEALTH = request("GET", "/health")
POLL = request("GET", "/agents/lucy/tickets/pending?waitMs=5000")


def read_answers(data: bytes, methods) -> list:
    """Return (status, body) of each response. `data` must hold whole responses."""
    parser, answers, left = ResponseParser(Limits(), methods[0]), [], list(methods[1:])
    parser.feed(data)
    event = parser.next_event()
    while event is not None:
        if isinstance(event, ResponseHead) and event.status != 100:
            answers.append((event.status, b""))
        elif isinstance(event, BodyData):
            answers[-1] = (answers[-1][0], answers[-1][1] + event.data)
        elif isinstance(event, BodyEnd) and left:
            parser.expect(left.pop(0))
        event = parser.next_event()
    return answers


def statuses(line, count: int) -> list[int]:
    return [status for status, _ in read_answers(line.received, ["GET"] * max(1, count))]


async def settle(server, error=None) -> None:
    """Settle all unwritten groups, and let the responses leave."""
    for _ in range(50):
        await asyncio.sleep(0)
        if server.journal.unwritten:
            server.journal.settle(error)
    await asyncio.sleep(0)
