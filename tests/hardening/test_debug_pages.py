"""The debug pages, the metrics and the overview are correct while streams and polls come and go.

A model holds what the clients have open. The very next response shows a new stream or poll. A
close or a reset is visible only after the kernel has reported it to the broker, so the test waits
for it.
"""

from __future__ import annotations

import random
import socket
import struct

import pytest
from running import compact, wait_until

AGENTS = ["ann", "bob", "cyd", "dan", "eve"]
STEPS = 150
NOWHERE = 2**52  # a cursor after which nothing is pending


class Scene:
    """A broker and what its clients hold open."""

    def __init__(self, broker) -> None:
        self.broker = broker
        self.streams: list = []  # (stream, agents that it carries by name)
        self.polls: list = []  # (line, agents that wake it)
        self.polled, self.longpolled = set(), set()
        self.opened = self.closed = self.failed = 0
        self.pending: dict[str, list[str]] = {agent: [] for agent in AGENTS}

    # -- steps of the clients -----------------------------------------------------

    def open(self, chance) -> None:
        agent = chance.choice(AGENTS)
        path, carried = chance.choice(
            [
                (f"/agents/{agent}/tickets/stream", {agent}),
                ("/tickets/stream", set()),
                ("/tickets/stream?subscriber=some", {"ann", "bob"}),
                ("/events", set()),
            ]
        )
        stream = self.broker.stream(f"{path}{'&' if '?' in path else '?'}after={NOWHERE}")
        stream.read_block()
        self.streams.append((stream, carried))
        self.opened += 1

    def take_stream(self, chance):
        return self.streams.pop(chance.randrange(len(self.streams)))[0]

    def close(self, chance) -> None:
        """Close a stream. If bytes are unread, the kernel sends a RST (RFC 2525 section 2.17)."""
        if self.streams:
            self.take_stream(chance).close()
            self.closed += 1

    def half_close(self, chance) -> None:
        """Shut down the sending side. This ends the stream and does not count as a failure."""
        if self.streams:
            stream = self.take_stream(chance)
            stream.line.socket.shutdown(socket.SHUT_WR)
            while stream.line.receive():
                pass
            stream.close()

    def reset(self, chance) -> None:
        if self.streams:
            reset(self.take_stream(chance).line.socket)
            self.failed += 1

    def longpoll(self, chance) -> None:
        agent, line = chance.choice(AGENTS), self.broker.line()
        path, agents = chance.choice(
            [
                (f"/agents/{agent}", {agent}),
                ("/subscribers/some", {"ann", "bob"}),
                ("/subscribers/nobody", set()),
            ]
        )
        line.request("GET", f"{path}/tickets/pending?waitMs=60000&after={self.broker.last}")
        self.polls.append((line, agents))
        self.longpolled |= agents

    def drop_poll(self, chance) -> None:
        if self.polls:
            line, _ = self.polls.pop(chance.randrange(len(self.polls)))
            reset(line.socket) if chance.random() < 0.5 else line.close()

    def poll(self, chance) -> None:
        agent = chance.choice(AGENTS)
        assert len(self.broker.pending(agent)) == len(self.pending[agent])
        self.polled.add(agent)

    def send(self, chance) -> None:
        """Send a ticket. It ends the agent's long-polls and goes to its streams."""
        agent = chance.choice(AGENTS)
        self.pending[agent].append(self.broker.send(agent, "x"))
        self.broker.last += 1
        for line, _ in [each for each in self.polls if agent in each[1]]:
            assert line.read_answer().status == 200
            line.close()
        self.polls = [each for each in self.polls if agent not in each[1]]

    def acknowledge(self, chance) -> None:
        agent = chance.choice(AGENTS)
        if self.pending[agent]:
            assert self.broker.acknowledge(self.pending[agent].pop(0)).status == 200

    def leave(self) -> None:
        for connection, _ in self.streams + self.polls:
            connection.close()
        self.closed += len(self.streams)
        self.streams, self.polls = [], []

    # -- the model's view -----------------------------------------------------------

    def carried(self, agent) -> bool:
        return any(agent in carried for _, carried in self.streams)

    def tier(self, agent) -> str:
        if self.carried(agent):
            return "sse"
        return (
            "longpoll" if agent in self.longpolled else "poll" if agent in self.polled else "none"
        )

    def truth(self) -> dict:
        tiers = [self.tier(agent) for agent in AGENTS]
        return {
            "sse": {"active": len(self.streams), "pending": 0},
            "longpoll": {"active": tiers.count("longpoll"), "waiting": len(self.polls)},
            "polling": {"active": len(self.polled)},
        }

    def is_true(self) -> bool:
        page = self.broker.ask("GET", "/debug/connections").json
        failed = page["sse"].pop("failed")
        return page == self.truth() and self.failed <= failed <= self.failed + self.closed

    def refresh(self) -> None:
        """Poll again for each polled agent. A poll counts for 15 s only, and tests may be slow."""
        for agents, wait in ((self.polled, ""), (self.longpolled, "?waitMs=1")):
            for agent in agents:
                self.broker.pending(agent, wait)

    def check(self) -> None:
        self.refresh()
        wait_until(self.is_true, f"{self.truth()}")
        for agent in AGENTS:
            page = self.broker.ask("GET", f"/debug/agent/{agent}/status").json
            assert (page["connection"], page["pendingMessages"]) == (
                self.tier(agent),
                len(self.pending[agent]),
            ), agent
        seen = self.broker.metrics()
        assert (
            seen["bridge_sse_connections_active"] == len(self.streams)
            and seen["bridge_sse_connections_total"] == self.opened
        )
        assert seen["bridge_longpoll_waiting"] == len(self.polls)
        assert seen["bridge_messages_queued_current"] == sum(map(len, self.pending.values()))
        for tier in ("sse", "longpoll", "poll"):
            connected = sum(self.tier(agent) == tier for agent in AGENTS)
            assert seen[f'bridge_agents_connected{{tier="{tier}"}}'] == connected, tier
        found = self.broker.ask("GET", "/overview").json
        assert {row["agentId"]: (row["connection"], row["pending"]) for row in found["agents"]} == {
            agent: (self.tier(agent), len(self.pending[agent]))
            for agent in AGENTS
            if self.pending[agent] or self.carried(agent)
        }
        assert (found["totals"]["streams"], found["totals"]["longpolls"]) == (
            len(self.streams),
            len(self.polls),
        )


def reset(connection: socket.socket) -> None:
    """Close with a RST instead of a FIN (socket(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_pages_are_correct_under_churn(start, seed):
    broker, chance = start(BRIDGE_RATE_LIMIT=0, BRIDGE_SSE_HEARTBEAT=600_000), random.Random(seed)
    broker.last = 0  # the newest seq
    for agent in ("ann", "bob"):
        assert (
            broker.ask("POST", f"/agents/{agent}/subscribe", compact({"subscriber": "some"})).status
            == 204
        )
    for agent in AGENTS:
        broker.ask("GET", f"/debug/agent/{agent}/status")
    scene = Scene(broker)
    for agent in AGENTS:  # a first ticket, so that each agent has a page from the start
        scene.pending[agent].append(broker.send(agent, "x"))
        broker.last += 1
    acts = (
        [scene.open] * 4
        + [scene.longpoll] * 2
        + [
            scene.close,
            scene.half_close,
            scene.reset,
            scene.drop_poll,
            scene.poll,
            scene.send,
            scene.acknowledge,
        ]
    )
    try:
        for step in range(STEPS):
            chance.choice(acts)(chance)
            if chance.random() < 0.2 or step == STEPS - 1:
                scene.check()
    finally:
        scene.leave()
    scene.check()
