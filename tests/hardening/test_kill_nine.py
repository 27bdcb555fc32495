"""kill -9 under load.

Every ticket with a 202, every acknowledgement and every claim is kept. No seq is used twice.
"""

from __future__ import annotations

import random
import socket
import threading
import time

from raw_http import Closed, Line, request_bytes
from running import counted, wait_until


class Load:
    """Clients that send, acknowledge, claim and reply until the broker dies.

    They record the responses.
    """

    def __init__(self, broker, tag: str) -> None:
        self.broker, self.tag = broker, tag
        # ticketId -> (agent, payload): sends with a 202, and sends without a response so far.
        self.accepted: dict[str, tuple[str, object]] = {}
        self.unanswered: dict[str, tuple[str, object]] = {}
        self.acknowledged: set[str] = set()
        # An acknowledge, a claim or a reply was sent. Its response may be lost.
        self.asked: set[str] = set()
        self.claimed: dict[str, str] = {}
        self.replied: set[str] = set()
        self.threads = [
            threading.Thread(target=self.send_many, args=(number,)) for number in range(3)
        ] + [threading.Thread(target=self.finish_some)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def send_many(self, sender: int) -> None:
        """Send in pipelined windows, so that many tickets are uncommitted at once."""
        number = 0
        try:
            with Line(self.broker.port) as line:
                while True:
                    window = []
                    for _ in range(16):
                        ticket_id, agent = (
                            f"{self.tag}-{sender}-{number}",
                            f"k{sender}-{number % 7}",
                        )
                        self.unanswered[ticket_id] = (agent, number)
                        window.append((ticket_id, agent, number))
                        number += 1
                    line.send(
                        b"".join(
                            request_bytes(
                                "POST",
                                f"/agents/{agent}/send",
                                {"payload": payload, "ticketId": ticket_id},
                            )
                            for ticket_id, agent, payload in window
                        )
                    )
                    for ticket_id, _, _ in window:
                        answer = line.read_answer()
                        assert answer.status == 202, answer
                        self.accepted[ticket_id] = self.unanswered.pop(ticket_id)
        except (OSError, Closed):
            return  # the broker is dead

    def finish_some(self) -> None:
        chance = random.Random(3)
        try:
            with Line(self.broker.port) as line:
                while True:
                    for ticket_id in list(self.accepted):
                        if ticket_id in self.asked or chance.random() < 0.3:
                            continue
                        self.asked.add(ticket_id)
                        what = chance.choice(["acknowledge", "claim", "reply"])
                        if what == "acknowledge":
                            assert (
                                line.ask("POST", f"/tickets/{ticket_id}/acknowledge").status == 200
                            )
                            self.acknowledged.add(ticket_id)
                        elif what == "claim":
                            answer = line.ask(
                                "POST",
                                f"/tickets/{ticket_id}/claim",
                                {"watcher": "w", "leaseMs": 3600000},
                            )
                            assert answer.status == 200
                            self.claimed[ticket_id] = answer.json["leaseUntilAt"]
                        else:
                            assert (
                                line.ask(
                                    "POST",
                                    "/replies",
                                    {"ticketId": ticket_id, "payload": ticket_id},
                                ).status
                                == 204
                            )
                            self.replied.add(ticket_id)
        except (OSError, Closed):
            return  # the broker is dead


def test_every_accepted_ticket_is_kept(start):
    settings = {"BRIDGE_RATE_LIMIT": 0, "BRIDGE_QUEUE_MAX": 10**6}
    broker = start(strict=False, **settings)
    seqs: dict[str, int] = {}
    loads = []
    for round_number in range(3):
        load = Load(broker, f"r{round_number}")
        load.start()
        time.sleep(0.8)  # a length of load, not a wait for an event
        broker.kill()
        load.join()
        loads.append(load)
        broker.start()
        check(broker, loads, seqs)
    assert sum(len(load.accepted) for load in loads) > 200, "there was load"
    assert (
        sum(len(load.acknowledged) + len(load.claimed) + len(load.replied) for load in loads) > 20
    )


def check(broker, loads, seqs) -> None:
    pending = {}
    agents = {
        agent for load in loads for agent, _ in [*load.accepted.values(), *load.unanswered.values()]
    }
    for agent in agents:
        numbers = []
        for ticket in broker.pending(agent):
            assert ticket["ticketId"] not in pending
            pending[ticket["ticketId"]] = ticket
            numbers.append(ticket["seq"])
        assert numbers == sorted(numbers), "oldest first"
    with broker.line() as line:
        for load in loads:
            for ticket_id, (agent, payload) in load.accepted.items():
                ticket = line.ask("GET", f"/tickets/{ticket_id}")
                assert ticket.status == 200, f"{ticket_id} was accepted and is lost"
                shown = ticket.json
                assert (shown["agentId"], shown["payload"]) == (agent, payload)
                assert seqs.setdefault(ticket_id, shown["seq"]) == shown["seq"]
                if ticket_id in load.acknowledged:
                    assert shown["status"] == "delivered"
                elif ticket_id in load.replied:
                    assert (
                        shown["status"] == "responded" and shown["response"]["payload"] == ticket_id
                    )
                elif ticket_id not in load.asked:
                    assert shown["status"] == "pending"
                assert (shown["status"] == "pending") == (ticket_id in pending)
            for ticket_id, lease in load.claimed.items():
                answer = line.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "another"})
                assert answer.status == 409 and answer.json["leaseUntilAt"] == lease
            # A send without a response is repeated. Then there is one ticket, whether the first
            # send had arrived or not.
            for ticket_id, (agent, payload) in list(load.unanswered.items()):
                assert (
                    line.ask(
                        "POST", f"/agents/{agent}/send", {"payload": payload, "ticketId": ticket_id}
                    ).status
                    == 202
                )
                load.accepted[ticket_id] = load.unanswered.pop(ticket_id)
                seqs[ticket_id] = line.ask("GET", f"/tickets/{ticket_id}").json["seq"]
    assert not counted(seqs.values()), "no seq is ever used twice"


def test_a_stream_never_shows_a_ticket_that_a_crash_can_lose(start):
    """No ticket is pushed before it is on disk. So a subscriber finds it after the crash."""
    broker = start(strict=False, BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=10**6)
    for _ in range(3):
        load = Load(broker, f"s{broker.port}")
        seen = []

        def listen():
            try:
                with broker.stream("/tickets/stream?after=0") as stream:
                    while True:
                        event = stream.read_event()
                        if event is None:
                            return
                        seen.append(event.json["ticket"]["ticketId"])
            except (OSError, Closed, AssertionError):
                return  # the broker is dead, perhaps in the middle of an event

        listener = threading.Thread(target=listen)
        listener.start()
        load.threads = load.threads[:3]
        load.start()
        time.sleep(0.5)  # a length of load, not a wait for an event
        broker.kill()
        load.join()
        listener.join()
        broker.start()
        assert seen
        with broker.line() as line:
            missing = [
                ticket_id
                for ticket_id in seen
                if line.ask("GET", f"/tickets/{ticket_id}").status != 200
            ]
        assert not missing, f"{len(missing)} of {len(seen)} were pushed before they were durable"


def test_no_seq_is_used_again_when_all_tickets_are_pruned(start):
    """With `max(seq) + 1`, an empty table would begin at 1 again and make all cursors wrong."""
    broker = start(BRIDGE_RETENTION=0)
    last = 0
    for number in range(3):
        ticket_id = broker.send("a", number)
        last = broker.pending("a")[0]["seq"]
        broker.acknowledge(ticket_id)
    broker.kill()
    broker.start()
    wait_until(lambda: broker.ask("GET", f"/tickets/{ticket_id}").status == 404, "it is pruned")
    broker.kill()
    broker.start()  # now the table is empty
    broker.send("a", "after")
    assert broker.pending("a")[0]["seq"] > last
    with broker.stream(f"/agents/a/tickets/stream?after={last}") as stream:
        assert stream.read_event().json["payload"] == "after"


def test_a_kill_during_the_start_does_not_damage_the_store(start, tmp_path):
    """The start reads and recovers the store. A kill at that time must not damage it."""
    broker = start(BRIDGE_RATE_LIMIT=0)
    for number in range(100):
        broker.send("a", number)
    broker.kill()
    for delay in (0.05, 0.15, 0.25, 0.35, 0.5):
        broker.spawn()
        time.sleep(delay)  # kill it at different points of its start
        broker.kill()
    broker.start()
    assert [ticket["payload"] for ticket in broker.pending("a")] == list(range(100))


def test_the_port_can_be_bound_again_at_once(start, tmp_path):
    """With connections in TIME_WAIT, a restarted broker can bind its port (SO_REUSEADDR)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    broker = start(flags=["--port", str(port)])
    stream = broker.agent_stream("a")
    stream.read_block()
    broker.kill()
    broker.start()
    assert broker.port == port
    stream.close()
