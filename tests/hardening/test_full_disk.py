"""A disk that fills while the broker runs.

Writes are refused and leave no trace, reads continue, and writes work again when there is room.
"""

from __future__ import annotations

import pathlib
import resource
import sys

from conformance.shapes import check_problem
from running import Broker, wait_until


def fill_disk(broker) -> None:
    """Let no file grow beyond the size of the largest (EFBIG, setrlimit(2)).

    Python ignores SIGXFSZ.
    """
    folder = pathlib.Path(broker.db).parent
    largest = max(path.stat().st_size for path in folder.iterdir() if path.is_file())
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))


def free_disk(broker) -> None:
    resource.prlimit(
        broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )


def send(broker, ticket_id, agent="a"):
    return broker.ask(
        "POST", f"/agents/{agent}/send", {"payload": "x" * 20_000, "ticketId": ticket_id}
    )


def fill_until_refused(broker) -> tuple[list[str], str]:
    """Send until the first 503. Return the accepted ids and the refused one."""
    accepted = []
    for number in range(2000):
        answer = send(broker, f"fill-{number}")
        if answer.status == 503:
            check_problem(answer, 503)
            return accepted, f"fill-{number}"
        assert answer.status == 202, answer
        accepted.append(f"fill-{number}")
    raise AssertionError("the disk never filled")


def test_a_disk_that_fills_and_has_room_again(start):
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100000)
    broker.register("a", metadata={"before": 1})
    kept = [broker.send("a", number) for number in range(10)]
    with broker.agent_stream("a") as stream:
        streamed = [event.json["ticketId"] for event in stream.read_events(10)]
        fill_disk(broker)
        accepted, refused = fill_until_refused(broker)
        kept += accepted
        # Reads continue, writes are refused, and refused writes leave no trace.
        assert broker.ask("GET", "/health").status == 200
        assert [ticket["ticketId"] for ticket in broker.pending("a")] == kept
        assert broker.ask("GET", f"/tickets/{refused}").status == 404
        for method, path, body in [
            ("POST", "/agents/register", {"agentId": "new", "metadata": {"big": "x" * 12_000}}),
            (
                "POST",
                f"/tickets/{kept[0]}/acknowledge",
                {"watcher": "w", "evidence": {"big": "x" * 12_000}},
            ),
            ("POST", f"/tickets/{kept[1]}/claim", {"watcher": "w"}),
            ("POST", "/replies", {"ticketId": kept[2], "payload": "x" * 20_000}),
        ]:
            answer = broker.ask(method, path, body)
            if answer.status == 503:
                check_problem(answer, 503)
            else:
                assert path.endswith("/claim") and answer.status == 200, (
                    "only a small write may still find room"
                )
        assert broker.ask("GET", "/agents/new").status == 404
        assert (
            broker.ticket(kept[0])["status"] == "pending"
            and broker.ticket(kept[2])["response"] is None
        )
        assert send(broker, refused).status == 503, "still full"
        free_disk(broker)
        wait_until(lambda: send(broker, refused).status == 202, "it heals")
        kept.append(refused)
        streamed += [event.json["ticketId"] for event in stream.read_events(len(kept) - 10)]
    assert streamed == kept, "the stream sent each accepted ticket once, in order, and no other"
    assert broker.acknowledge(kept[0]).status == 200
    broker.kill()
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == kept[1:]
    broker.send("a", "and on it goes")


def test_a_full_disk_and_a_kill(start):
    """After a kill on a full disk, tickets with a 202 are there and those with a 503 are not."""
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100000)
    kept = [broker.send("a", 1)]
    fill_disk(broker)
    accepted, refused = fill_until_refused(broker)
    more = [send(broker, f"more-{number}").status for number in range(5)]
    kept += accepted + [f"more-{number}" for number, status in enumerate(more) if status == 202]
    broker.kill()
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == kept


def test_a_refused_acknowledgement_can_be_repeated(start):
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100000)
    ticket_id = broker.send("a", 1)
    fill_disk(broker)
    fill_until_refused(broker)
    statuses = [
        broker.acknowledge(ticket_id, {"watcher": "w", "evidence": {"big": "x" * 50_000}}).status
        for _ in range(3)
    ]
    assert statuses == [503] * 3, "a repeat of a refused change must be refused too"
    free_disk(broker)
    wait_until(lambda: broker.acknowledge(ticket_id, {"watcher": "w"}).status == 200, "it heals")
    assert broker.ticket(ticket_id)["status"] == "delivered"


# A disk that reports less room than a copy needs.
LITTLE_ROOM = """
import collections, shutil, sys
Usage = collections.namedtuple("usage", "total used free")
shutil.disk_usage = lambda path: Usage(1 << 40, 0, 60 << 20)
from bridge.cli.main import main
sys.exit(main())
"""


def test_a_backup_that_would_fill_the_disk_is_not_begun(tmp_path):
    """On a full disk every send would be refused."""
    with Broker([sys.executable, "-c", LITTLE_ROOM], tmp_path / "bridge.db") as broker:
        answer = broker.ask("GET", "/backup")
        check_problem(answer, 503)
        assert "bytes of room" in answer.json["detail"], answer.json
        assert str(tmp_path) in answer.json["detail"]
