"""The moves of a connection: the table, its drawing, and the bytes that cause each move.

The scripts are bytes of a peer, and what happens beside them.
"""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.fronts import connection_state, reading
from bridge.broker.fronts.connection_state import (
    HOLDS_INPUT,
    NEXT_STATE,
    OUTLIVES_EOF,
    ConnectionEvent,
    ConnectionState,
)
from bridge.broker.fronts.loop_budget import BUDGET
from broker.seams import CopiedBytes
from broker.small_server import SmallServer
from broker.talk import HEALTH, POLL, SEND, request, settle

STREAM = request("GET", "/agents/lucy/tickets/stream")
BACKUP = request("GET", "/backup")
PENDING = request("GET", "/agents/full/tickets/pending")  # an answer beyond the outbox
LARGE = request("POST", "/agents/lucy/send", {"payload": "x" * 100_000})
State, Event = ConnectionState, ConnectionEvent


class Walked(dict):
    """The table, and the moves that were looked up in it."""

    def __init__(self) -> None:
        super().__init__(NEXT_STATE)
        self.moves: list = []

    def __getitem__(self, key):
        self.moves.append(key)
        return super().__getitem__(key)


@pytest.fixture
def walked(monkeypatch):
    table = Walked()
    monkeypatch.setattr(reading, "NEXT_STATE", table)
    return table


# -- the table --------------------------------------------------------------------


def test_each_pair_moves_to_a_state_or_is_an_error():
    for pair in itertools.product(State, Event):
        if pair in NEXT_STATE:
            assert NEXT_STATE[pair] in State
        else:
            with pytest.raises(KeyError):
                NEXT_STATE[pair]
    assert set(NEXT_STATE) <= set(itertools.product(State, Event))


def test_each_state_is_reached_and_each_but_the_last_can_be_lost():
    assert set(NEXT_STATE.values()) == set(State)
    assert {state for state, event in NEXT_STATE if event is Event.LOST} == set(State) - {
        State.CLOSED
    }
    assert {NEXT_STATE[pair] for pair in NEXT_STATE if pair[1] is Event.LOST} == {State.CLOSED}
    assert not [pair for pair in NEXT_STATE if pair[0] is State.CLOSED], "the end"
    assert OUTLIVES_EOF < HOLDS_INPUT and State.READING not in HOLDS_INPUT


def test_the_drawing_shows_each_state_and_each_event():
    drawing = connection_state.__doc__.partition("\n")[2].partition("A missing key")[0]
    words = set(re.findall(r"[A-Z]{3,}", drawing))
    assert words == {state.name for state in State} | {event.name for event in Event}


# -- the bytes that cause the moves -------------------------------------------------


def make_server(loop) -> SmallServer:
    server = SmallServer(loop, sse_outbox=1024, write_deadline=5000)
    server.copy = CopiedBytes(100_000)
    server.journal.copy = lambda: server.copy
    return server


def take_step(server, line, step) -> None:
    """Bytes are sent. The other steps are what a peer, the loop and the broker do beside that."""
    if isinstance(step, bytes):
        line.send(step)
    elif step == "end":
        line.send_eof()
    elif step == "stall":
        line.is_stalled = True
    elif step == "read":
        line.is_stalled = False
        line.read()
    elif step == "busy":
        server.budget.is_used_up = True
    elif step == "calm":
        server.budget.is_used_up = False
    elif step == "hog":  # the next step of the queue takes longer than a turn may
        server.budget.queue(lambda: setattr(server.loop, "now", server.loop.now + 2 * BUDGET))
    elif step == "drain":
        server.is_draining = True
        line.connection.drain()
    elif not line.is_lost:
        line.connection.abort()


ONE = ["READING REQUEST", "ANSWERING ANSWERED"]
LAST = ["READING REQUEST", "ANSWERING FINISH", "LINGERING LOST"]
LONG_POLL = ["READING REQUEST", "ANSWERING WAIT", "WAITING WOKEN"]
QUEUE = ["READING DEFER", "QUEUED TURN"]
COPY = [*LONG_POLL, "ANSWERING DOWNLOAD"]
SCRIPTS = {
    "at-once": ([HEALTH], ONE),
    "two-slices": ([HEALTH[:9], HEALTH[9:]], ONE),
    "commit": ([SEND], ONE),
    "large": ([LARGE], ONE),
    "pipelined": ([HEALTH * 2], ONE * 2),
    "broken": ([b"nonsense\r\n\r\n"], ["READING FINISH", "LINGERING LOST"]),
    "late-head": ([HEALTH[:9], 15], ["READING FINISH", "LINGERING LOST"]),
    "idle": ([80], ["READING LOST"]),
    "http-1.0": ([request("GET", "/health", version="1.0"), HEALTH], LAST),
    "end-of-half-a-head": ([HEALTH[:9], "end"], ["READING LOST"]),
    "end-in-a-commit": ([SEND, "end"], LAST),
    "cut-in-a-commit": ([SEND, "cut"], ["READING REQUEST", "ANSWERING LOST"]),
    "poll": ([POLL, HEALTH], [*LONG_POLL, "ANSWERING ANSWERED", *ONE]),
    "end-in-a-poll": ([POLL, "end"], ["READING REQUEST", "ANSWERING WAIT", "WAITING LOST"]),
    "drained-poll": ([POLL, "drain"], [*LONG_POLL, "ANSWERING FINISH", "LINGERING LOST"]),
    "stream": ([STREAM, HEALTH, "end"], ["READING REQUEST", "ANSWERING STREAM", "STREAMING LOST"]),
    "stream-head": ([request("HEAD", "/tickets/stream")], LAST),
    "busy": (["busy", HEALTH, "calm"], [*QUEUE, *ONE, *QUEUE]),
    "busy-and-ends": (["busy", HEALTH, "end"], [*QUEUE, *LAST]),
    "busy-and-cut": (["hog", "busy", HEALTH, "cut"], ["READING DEFER", "QUEUED LOST"]),
    "unread": (
        ["stall", PENDING, 0.5, "read"],
        ["READING REQUEST", "ANSWERING FULL", "UNREAD ROOM"],
    ),
    "unread-for-long": (
        ["stall", PENDING, 10],
        ["READING REQUEST", "ANSWERING FULL", "UNREAD LOST"],
    ),
    "download": ([BACKUP], [*COPY, "DOWNLOADING FINISH", "LINGERING LOST"]),
    "download-and-end": ([BACKUP, "end"], [*COPY, "DOWNLOADING LOST"]),
    "slow-download": (
        ["stall", BACKUP, 0.5, HEALTH, "end", "read"],
        [*COPY, "DOWNLOADING FINISH", "LINGERING LOST"],
    ),
    "unread-download": (["stall", BACKUP, 10], [*COPY, "DOWNLOADING LOST"]),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_walks_its_moves(walked, name):
    """A number is a time in seconds. Six seconds follow each script."""
    script, moves = SCRIPTS[name]

    async def scenario(loop):
        server = make_server(loop)
        helper = server.connect()
        helper.send(request("POST", "/agents/full/send", {"payload": "y" * 2000}))
        await settle(server)
        helper.abort()
        await settle(server)
        walked.moves.clear()
        line = server.connect()
        for step in script:
            if isinstance(step, (int, float)):
                await asyncio.sleep(step)
            else:
                take_step(server, line, step)
        await settle(server)
        await asyncio.sleep(6)
        assert [f"{state.name} {event.name}" for state, event in walked.moves] == moves
        assert server.copy.is_closed == ("ANSWERING DOWNLOAD" in moves)
        assert line.is_lost == moves[-1].endswith("LOST")

    run(scenario)


def test_the_scripts_walk_the_whole_table():
    assert {move for _, moves in SCRIPTS.values() for move in moves} == {
        f"{state.name} {event.name}" for state, event in NEXT_STATE
    }


STEPS = [HEALTH, HEALTH[:9], HEALTH[9:], SEND, POLL, LARGE, PENDING, STREAM, BACKUP, b"?\r\n\r\n"]
WORDS = ["end", "stall", "read", "busy", "calm", "hog", "drain", "cut"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*STEPS, *WORDS, 0.0, 0.0, 1.0, 20.0]), max_size=15))
def test_no_script_causes_a_move_that_is_not_in_the_table(script):
    """A missing key raises in a callback, which fails the scenario."""

    async def scenario(loop):
        server = make_server(loop)
        line = server.connect()
        for step in script:
            if isinstance(step, float):
                await asyncio.sleep(step)
                await settle(server)
            else:
                take_step(server, line, step)
        if not line.is_lost:
            line.connection.abort()
        await settle(server)
        assert line.connection.state is State.CLOSED
        assert not server.connections and not server.timed and not server.held.total
        assert not server.waiting and not server.services.hub.polls.total

    run(scenario)
