"""A command of --exec that fails: `why` shows it, and after some tries the ticket is set aside."""

from __future__ import annotations

import json

import pytest
from running import new_name, stages, wait_until

from bridge.watcher.delivery import FOREVER

QUICK = {"BRIDGE_RETRY_MAX": "20", "BRIDGE_REPORT_INTERVAL": "10"}


def why(bridge, ticket_id: str) -> dict:
    return json.loads(bridge.run("why", ticket_id, "--json"))["now"]


def poison(tmp_path, ticket_id: str) -> str:
    """A command that fails for one ticket, and writes the id of every ticket to a file."""
    return (
        f"echo $BRIDGE_TICKET_ID >> {tmp_path}/ran; test $BRIDGE_TICKET_ID != {ticket_id} || exit 3"
    )


def runs(tmp_path) -> list[str]:
    path = tmp_path / "ran"
    return path.read_text().split() if path.exists() else []


def test_why_gives_the_reason_between_the_tries(bridge, served, tmp_path):
    agent = new_name()
    ticket_id = served.send(agent)
    with bridge.running(
        "watch", agent, "--exec", poison(tmp_path, ticket_id), BRIDGE_EXEC_TRIES="0", **QUICK
    ):
        wait_until(lambda: len(runs(tmp_path)) > 12, "more tries than the default allows")
        now = wait_until(
            lambda: (said := why(bridge, ticket_id))["state"] == "pane" and said, "the reason"
        )
        assert (
            f"{agent}'s watcher waits: `echo" in now["text"]
            and "` ended with exit status 3" in now["text"]
        )
        assert "about to type it" not in now["text"] and "; the watcher " in now["text"]
    assert "aside" not in stages(served.ticket(ticket_id)), "0 = never set aside"


@pytest.mark.parametrize("command", ["watch", "supervise"])
def test_it_is_set_aside_and_its_successors_are_delivered(bridge, served, tmp_path, command):
    agent = new_name()
    first, second, third = (served.send(agent, number) for number in range(3))
    words = (command, agent, "--exec", poison(tmp_path, second), "--exec-tries", "3")
    with bridge.running(*words, **QUICK) as watch:
        wait_until(
            lambda: served.ticket(third)["status"] == "delivered", f"the successor: {watch.said}"
        )
        ticket = served.ticket(second)
        assert (ticket["status"], stages(ticket)) == (
            "pending",
            ["accepted", "streamed", "claimed", "aside"],
        )
        evidence = ticket["history"][-1]["evidence"]
        assert evidence["reason"].startswith(
            "given up after 3 tries, until the watcher starts anew: `echo"
        )
        assert runs(tmp_path) == [first, second, second, second, third]
        now = why(bridge, second)
        assert now["state"] == "aside" and "ended with exit status 3" in now["text"]
        later = served.send(agent, "later")
        wait_until(
            lambda: served.ticket(later)["status"] == "delivered", "a later ticket passes it too"
        )
    assert runs(tmp_path)[3:] == [second, third, later], "this watcher does not try it again"
    with bridge.running(*words, **QUICK):
        wait_until(lambda: len(runs(tmp_path)) == 9, "it is tried again by the next watcher")
        wait_until(lambda: stages(served.ticket(second))[-1] == "aside", "and set aside again")
    assert runs(tmp_path)[6:] == [second] * 3


def test_a_ticket_that_was_set_aside_is_not_before_the_next_one(bridge, served, tmp_path):
    agent = new_name()
    first = served.send(agent)
    command = f"test $BRIDGE_TICKET_ID != {first} && sleep 1000"
    with bridge.running(
        "watch", agent, "--exec", command, "--exec-tries", "1", "--stop-timeout", "0", **QUICK
    ):
        wait_until(lambda: stages(served.ticket(first))[-1] == "aside", "the first is set aside")
        second = served.send(agent)
        wait_until(lambda: stages(served.ticket(second))[-1] == "claimed", "the second")
        third = served.send(agent)
        assert f"1 ticket is before it; {second} is first" in why(bridge, third)["text"]


def test_setting_aside_is_reported_again_after_the_broker_is_back(start, program_for, tmp_path):
    """Until the broker has confirmed it, the ticket stays first, since `why` has no reason yet."""
    broker = start()
    ticket_id = broker.send("lucy")
    words = (
        "watch",
        "lucy",
        "--exec",
        f"echo >> {tmp_path}/ran; while [ -e {tmp_path}/wait ]; do sleep 0.02; done; exit 3",
        "--exec-tries",
        "1",
    )
    (tmp_path / "wait").touch()
    with program_for(broker.url).running(*words, **QUICK, BRIDGE_RECONNECT_MAX="50") as watch:
        wait_until(lambda: (tmp_path / "ran").exists(), "the first try")
        broker.kill()
        (tmp_path / "wait").unlink()
        watch.wait_said("not set aside")
        broker.flags = ["--port", str(broker.port)]
        broker.start()
        wait_until(lambda: stages(broker.ticket(ticket_id))[-1] == "aside", "the stage")
        watch.wait_said("set aside ticket=")


def test_help_documents_at_least_once(bridge):
    for command in ("watch", "supervise"):
        told = " ".join(bridge.run(command, "--help").split())
        assert "At least once: after a crash of the watcher, CMD may run again" in told
        assert "--exec-tries" in told and "0 = no limit" in told
    assert float("inf") == FOREVER
