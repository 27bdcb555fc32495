"""Senders that repeat each ticket, under its own id, until the broker answers 202.

    accepted: ticket id ─► its body

Half of the requests use the faulty proxy. Some tickets are sent once more after their answer. The
ticket id is an idempotency key, so all of these are one ticket.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from urllib.parse import quote

from soak.bodies import make_body, make_id
from soak.scene import Scene

PASSING = (408, 425, 429, 500, 502, 503, 504)  # temporary errors, after which a retry may succeed
PAUSES = (
    0.0,
    0.0,
    0.0,
    0.3,
    1.0,
    2.0,
)  # seconds between two tickets to one agent: bursts and rests
# Pending tickets of an agent at which its sender waits. Some agents need three seconds for each.
WAITING_MAX = 12
GIVE_UP = 60.0  # seconds; by then the proxy is healed and the broker runs again


class Publisher(threading.Thread):
    """Sends tickets to one agent, one at a time."""

    def __init__(self, scene: Scene, agent: str, seed: object, stopping: threading.Event) -> None:
        super().__init__(name=f"publisher to {agent}", daemon=True)
        self.accepted: dict[str, str] = {}
        self.repeats = 0
        self.failure: BaseException | None = None
        self.agent = agent
        self._scene, self._stopping = scene, stopping
        self._random = random.Random(f"publisher {agent} {seed}")

    def run(self) -> None:
        number = 0
        try:
            while not self._stopping.wait(self._random.choice(PAUSES)):
                if self._has_room():
                    number += 1
                    self._publish(number)
                else:
                    self._stopping.wait(1.0)
        except BaseException as error:
            self.failure = error

    def _has_room(self) -> bool:
        try:
            status, waiting = ask(
                self._scene.broker.port,
                "GET",
                f"/agents/{self.agent}/tickets/pending?observe=1&limit={WAITING_MAX}",
            )
        except (OSError, http.client.HTTPException, ValueError):
            return True  # if the broker is away, sending repeats until it is back
        return status != 200 or len(waiting) < WAITING_MAX

    def _publish(self, number: int) -> None:
        ticket_id = make_id(self._random, self.agent, number)
        body = make_body(self._random, number, self._scene.folder)
        metadata = {
            "origin": "soak",
            **({"priority": "urgent"} if self._random.random() < 0.1 else {}),
        }
        request = {
            "payload": body,
            "ticketId": ticket_id,
            "metadata": metadata,
            "expectReply": self._random.random() < 0.5,
        }
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            self._send_until_accepted(ticket_id, request)
        self.accepted[ticket_id] = body

    def _send_until_accepted(self, ticket_id: str, request: dict) -> None:
        deadline = time.monotonic() + GIVE_UP
        while True:
            port = self._random.choice((self._scene.proxy.port, self._scene.broker.port))
            try:
                status, answer = ask(port, "POST", f"/agents/{self.agent}/send", request)
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, answer = 0, {"error": repr(error)}
            if status == 202:
                assert answer["ticketId"] == ticket_id, f"{ticket_id} was accepted as {answer}"
                return
            assert status == 0 or status in PASSING, f"{ticket_id} was refused: {status} {answer}"
            assert time.monotonic() < deadline, (
                f"{ticket_id} is not accepted within {GIVE_UP:g} s: {status} {answer}"
            )
            self.repeats += 1
            time.sleep(self._random.uniform(0.0, 0.3))


def ask(
    port: int, method: str, path: str, body: object = None, timeout: float = 0.7
) -> tuple[int, dict]:
    """Send one request on a new connection; a truncated answer raises."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {"Content-Type": "application/json", "Connection": "close"},
        )
        answer = connection.getresponse()
        # http.client accepts a truncated head. Then the body is empty, and json raises.
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ticket_of(port: int, ticket_id: str) -> dict:
    status, ticket = ask(port, "GET", f"/tickets/{quote(ticket_id, safe='')}", timeout=20.0)
    assert status == 200, f"{ticket_id} was accepted, and is not known: {status} {ticket}"
    return ticket
