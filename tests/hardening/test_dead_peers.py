"""A peer that resets its connection. Nothing is written to it or counts as sent to it."""

from __future__ import annotations

import logging
import signal
import socket
import struct
import sys

from raw_http import request_bytes
from running import Broker, stages, wait_until

from bridge.broker.fronts.access_log import ASYNCIO_LINES, AccessLog
from bridge.broker.metrics.counters import Metrics

LINGER_RESET = struct.pack("ii", 1, 0)  # close sends RST, socket(7) SO_LINGER


def vanish_after(broker, data: bytes) -> None:
    """Make the broker find the request and the reset at the same time."""
    line = broker.line()
    assert line.ask("GET", "/health").status == 200
    broker.signal(signal.SIGSTOP)
    line.send(data)
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    line.close()
    broker.signal(signal.SIGCONT)
    wait_until(lambda: broker.metrics()["bridge_connections_open"] == 1, "it is forgotten")


def test_a_stream_that_is_reset_before_its_catch_up(start):
    broker = start(BRIDGE_RATE_LIMIT=0)
    sent = [broker.send("a", number) for number in range(70)]
    vanish_after(broker, request_bytes("GET", "/agents/a/tickets/stream", port=broker.port))
    assert "socket.send" not in broker.said()
    # Tickets that were written before the first error may have been read. Others were not sent.
    assert sum("streamed" in stages(broker.ticket(ticket_id)) for ticket_id in sent) <= 2
    with broker.agent_stream("a") as stream:
        assert [event.json["ticketId"] for event in stream.read_events(70)] == sent
    assert all("streamed" in stages(broker.ticket(ticket_id)) for ticket_id in sent)


def test_a_pipeline_that_is_reset(start):
    broker = start()
    vanish_after(broker, request_bytes("GET", "/health", port=broker.port) * 500)
    assert "socket.send" not in broker.said()


CHATTY_ASYNCIO = """
import logging, signal, sys

def warn(number, frame):
    for _ in range(1000):
        logging.getLogger("asyncio").warning("socket.send() raised exception.")

signal.signal(signal.SIGUSR1, warn)
from bridge.cli.main import main
sys.exit(main())
"""


def test_a_broker_bounds_the_lines_of_asyncio(tmp_path):
    launcher = [sys.executable, "-X", "dev", "-W", "error", "-c", CHATTY_ASYNCIO]
    broker = Broker(launcher, tmp_path / "bridge.db").start()
    broker.signal(signal.SIGUSR1)
    more = f"further asyncio lines, not logged count={1000 - ASYNCIO_LINES}"
    wait_until(lambda: more in broker.said(), "what is left out is counted")
    assert broker.said().count("socket.send") == ASYNCIO_LINES
    broker.signal(signal.SIGTERM)
    assert broker.wait() == 0


def test_asyncio_cannot_fill_the_log():
    access_log = AccessLog(Metrics(), 1)
    record = logging.LogRecord(
        "asyncio", logging.WARNING, "", 0, "socket.send() raised exception.", (), None
    )
    assert sum(access_log.may_log(record) for _ in range(1000)) == ASYNCIO_LINES
    access_log.sweep()
    assert access_log.may_log(record)
