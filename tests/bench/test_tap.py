"""The tap, a counting proxy, forwards each byte and counts it."""

from __future__ import annotations

import asyncio

import pytest
from fakes import wait_for

from bridge.bench.tap import Tap

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(body: bytes) -> bytes:
    return b"POST /agents/x/send HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


class Counting:
    """A server that records all bytes. It sends only what the test writes to `writers`."""

    def __init__(self) -> None:
        self.taken = b""
        self.writers = []

    async def __call__(self, reader, writer) -> None:
        self.writers.append(writer)
        while data := await reader.read(1000):
            self.taken += data
        writer.close()


async def tapped(scenario) -> None:
    counting = Counting()
    server = await asyncio.start_server(counting, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with Tap(f"http://127.0.0.1:{port}") as tap:
            reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
            try:
                await scenario(tap, counting, reader, writer)
            finally:
                writer.close()
    finally:
        server.close()
        for each in counting.writers:
            each.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("cuts", [1, 7, 100_000])
def test_requests_and_bytes_are_counted_however_they_are_cut(cuts):
    async def scenario(tap, counting, reader, writer):
        sent = b"".join(request(b"x" * length) for length in (0, 5, 70, 3000))
        for begin in range(0, len(sent), cuts):
            writer.write(sent[begin : begin + cuts])
        await wait_for(lambda: counting.taken == sent, "every byte at the other side")
        counting.writers[0].write(ANSWER * 4)
        assert await reader.readexactly(len(ANSWER) * 4) == ANSWER * 4
        assert (tap.counts.requests, tap.counts.bytes_up, tap.counts.bytes_down) == (
            4,
            len(sent),
            len(ANSWER) * 4,
        )
        before = tap.counts
        writer.write(request(b"one more"))
        await wait_for(lambda: tap.counts.requests == 5, "the fifth request")
        assert (
            tap.counts.since(before).bytes_up == len(request(b"one more"))
            and tap.counts.since(before).bytes_down == 0
        )

    asyncio.run(tapped(scenario))


def test_an_incomplete_request_is_not_counted():
    async def scenario(tap, counting, reader, writer):
        writer.write(request(b"whole") + request(b"half")[:-1])
        await wait_for(lambda: counting.taken.endswith(b"hal"), "the bytes")
        assert tap.counts.requests == 1

    asyncio.run(tapped(scenario))


def test_a_close_is_forwarded_after_the_last_byte():
    async def scenario(tap, counting, reader, writer):
        writer.write(request(b""))
        await wait_for(lambda: counting.writers, "the connection")
        counting.writers[0].write(ANSWER)
        counting.writers[0].close()
        assert await reader.read() == ANSWER

    asyncio.run(tapped(scenario))


def test_an_unreachable_server_closes_the_connection_without_a_log():
    async def scenario():
        async with Tap("http://127.0.0.1:1") as tap:
            reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(scenario())
