"""The client against brokers that close, stall, answer nonsense or flood, over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, encode, problem

from bridge.client.broker import BrokerClient
from bridge.client.http import HttpClient
from bridge.errors import BrokerUnreachable, ConnectionLost, Refused, StreamError
from bridge.settings import ClientSettings


def settings(broker: FakeBroker, **values) -> ClientSettings:
    return ClientSettings(broker_url=broker.url + values.pop("prefix", ""), **values)


def scenario(handler, play, **values):
    """Run `play(client, broker)` against a broker with this handler."""

    async def run():
        async with FakeBroker(handler) as broker:
            client = HttpClient(settings(broker, **values))
            try:
                return await play(client, broker)
            finally:
                await client.aclose()

    return asyncio.run(run())


async def echo(asked, writer):
    return 200, {
        "method": asked.method,
        "path": asked.path,
        "query": asked.query,
        "body": asked.body,
        "host": asked.fields["host"],
    }


def test_a_request_has_its_method_path_query_body_and_host():
    async def play(client, broker):
        answer = await client.request(
            "POST", "/agents/x/send", {"payload": "héé\ud800"}, {"a": "1 &", "b": None}
        )
        assert answer.status == 200
        assert answer.json == {
            "method": "POST",
            "path": ["pre", "agents", "x", "send"],
            "query": {"a": "1 &"},
            "body": {"payload": "héé\ud800"},
            "host": f"127.0.0.1:{broker.port}",
        }

    scenario(echo, play, prefix="/pre/")


def test_one_connection_serves_many_requests():
    async def play(client, broker):
        for _ in range(5):
            await client.request("GET", "/x")
        assert broker.connections == 1
        await asyncio.gather(*(client.request("GET", "/x") for _ in range(4)))
        assert broker.connections <= 5

    scenario(echo, play)


@pytest.mark.parametrize(
    "method, again, is_repeated", [("GET", None, True), ("POST", None, False), ("POST", True, True)]
)
def test_a_reused_connection_that_was_closed_is_replaced_when_that_is_safe(
    method, again, is_repeated
):
    """The broker closes the connection at the second request, before any byte of a response."""
    served = []

    async def hang_up(asked, writer):
        served.append(asked)
        return None if len(served) == 2 else (200, {})

    async def play(client, broker):
        await client.request("GET", "/first")
        if is_repeated:
            assert (await client.request(method, "/second", again=again)).status == 200
        else:
            with pytest.raises(ConnectionLost, match="without an answer"):
                await client.request(method, "/second", again=again)
        assert len(served) == (3 if is_repeated else 2)

    scenario(hang_up, play)


def test_a_fresh_connection_that_breaks_is_not_tried_again():
    async def hang_up(asked, writer):
        return None

    async def play(client, broker):
        with pytest.raises(ConnectionLost):
            await client.request("GET", "/x")
        assert len(broker.asked) == 1

    scenario(hang_up, play)


def test_half_a_response_is_an_error_and_the_request_is_not_repeated():
    async def half(asked, writer):
        if asked.path == ["first"]:
            return 200, {}
        writer.write(encode(200, {"long": "x" * 100})[:-20])
        await writer.drain()
        return None

    async def play(client, broker):
        await client.request("GET", "/first")
        with pytest.raises(ConnectionLost, match="in the middle"):
            await client.request("GET", "/half")
        assert len(broker.asked) == 2

    scenario(half, play)


@pytest.mark.parametrize(
    "written, reason",
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "does not speak HTTP"),
        (encode(200, b"{", "application/json"), "JSON that cannot be read"),
        (encode(200, b"[" * 100000, "application/json"), "JSON that cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10000, "longer than"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Flood: y\r\n" * 5000, "does not speak HTTP"),
    ],
    ids=["ssh", "cut", "deep", "long", "flood"],
)
def test_a_response_that_is_not_a_brokers_is_a_lost_connection(written, reason):
    async def lie(asked, writer):
        return written

    async def play(client, broker):
        with pytest.raises(ConnectionLost, match=reason):
            await client.request("GET", "/x")

    scenario(lie, play, answer_max=5000 if reason == "longer than" else 1 << 20)


def test_a_broker_that_does_not_answer_is_a_timeout():
    async def stall(asked, writer):
        await asyncio.Event().wait()

    async def play(client, broker):
        with pytest.raises(ConnectionLost, match="in time"):
            await client.request("GET", "/x")

    scenario(stall, play, request_timeout=50)


def test_the_error_without_a_broker_names_the_url_and_the_command_to_start_one():
    async def run():
        async with FakeBroker(echo) as broker:
            url = broker.url
        with pytest.raises(
            BrokerUnreachable, match=f"{url}.*refused.*python3 -m bridge broker"
        ) as caught:
            await HttpClient(ClientSettings(broker_url=url)).request("GET", "/health")
        assert not isinstance(caught.value, ConnectionLost)

    asyncio.run(run())


def test_a_refusal_carries_status_detail_fields_and_retry_after():
    async def refuse(asked, writer):
        return encode(
            429,
            {
                "type": "about:blank",
                "detail": "too many",
                "status": "pending",
                "leaseUntilAt": "soon",
            },
            "application/problem+json",
            Retry_After="7",
        )

    async def run():
        async with FakeBroker(refuse) as broker, BrokerClient(settings(broker)) as client:
            with pytest.raises(Refused) as caught:
                await client.claim("T1", "me", 1000)
            error = caught.value
            assert (error.status, str(error), error.retry_after, error.fields["leaseUntilAt"]) == (
                429,
                "too many",
                7.0,
                "soon",
            )

    asyncio.run(run())


def test_the_predecessors_refusal_is_read_too():
    async def refuse(asked, writer):
        return encode(500, {"error": "agent lucy is not registered"})

    async def run():
        async with FakeBroker(refuse) as broker, BrokerClient(settings(broker)) as client:
            with pytest.raises(Refused, match="not registered"):
                await client.send("lucy", "x")

    asyncio.run(run())


def test_an_early_refusal_is_read_even_if_the_request_could_not_be_written():
    """A 413 comes before the body was read, and then the connection closes."""

    async def run():
        async def too_large(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(problem(413, "the body is too long"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(too_large, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with (
            server,
            BrokerClient(ClientSettings(broker_url=f"http://127.0.0.1:{port}")) as client,
        ):
            # The kernel decides which of the two: an RST may discard the response.
            with pytest.raises((Refused, ConnectionLost)):
                await client.send("lucy", "x" * 5_000_000)

    asyncio.run(run())


def stream_head(chunked: bool = False) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + (
        b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_stream_gives_events_and_its_end(chunked):
    parts = [b":heartbeat\n\n", b"id: 7\nevent: ticket\nda", b"ta: {}\n\n"]

    async def serve(asked, writer):
        assert asked.fields["last-event-id"] == "6"
        writer.write(stream_head(chunked))
        for part in parts:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
        await writer.drain()
        writer.close()

    async def play(client, broker):
        stream, events = await client.open_stream("/s", "6"), []
        with pytest.raises(ConnectionLost, match="ended"):
            while True:
                events += await stream.read_events(5)
        await stream.aclose()
        assert [(event.event, event.data, event.last_event_id) for event in events] == [
            ("ticket", "{}", "7")
        ]

    scenario(serve, play)


def test_a_silent_stream_is_a_timeout_and_another_response_is_an_error():
    async def serve(asked, writer):
        if asked.path == ["json"]:
            return 200, []
        if asked.path == ["gone"]:
            return problem(404, "no such agent")
        writer.write(
            stream_head() + (b"data: " + b"x" * (17 << 20) if asked.path == ["flood"] else b"")
        )
        await asyncio.Event().wait()

    async def play(client, broker):
        stream = await client.open_stream("/silent")
        with pytest.raises(asyncio.TimeoutError):
            await stream.read_events(0.05)
        await stream.aclose()
        with pytest.raises(ConnectionLost, match="no event stream"):
            await client.open_stream("/json")
        with pytest.raises(Refused, match="no such agent"):
            await client.open_stream("/gone")
        flood = await client.open_stream("/flood")
        with pytest.raises(StreamError):
            while True:
                await flood.read_events(5)
        await flood.aclose()

    scenario(serve, play)


def test_a_cancelled_request_leaves_no_connection_behind():
    async def stall(asked, writer):
        if asked.path == ["stall"]:
            await asyncio.Event().wait()
        return 200, {}

    async def play(client, broker):
        await client.request("GET", "/x")
        task = asyncio.ensure_future(client.request("GET", "/stall"))
        while len(broker.asked) < 2:
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await client.request("GET", "/x")).status == 200 and broker.connections == 2

    scenario(stall, play)
