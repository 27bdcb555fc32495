"""The steps of examples/MIGRATION.md, forward and back, with the requests of the old clients.

No step loses a ticket.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from cli.conftest import Program
from proxies.conftest import free_port
from running import ROOT, Broker, environment, new_name, package_launcher, stages, wait_until

from migration.old_deployment import OldBroker, OldPoller, ToolServer, call

MIGRATE = [sys.executable, str(ROOT / "examples" / "migrate.py")]


def migrate(*words: str, status: int = 0) -> list[str]:
    done = subprocess.run(
        [*MIGRATE, *words], capture_output=True, text=True, timeout=60, env=environment(), cwd=ROOT
    )
    assert done.returncode == status and "Traceback" not in done.stderr, done
    return done.stdout.splitlines()


def payloads(watch) -> list:
    return [json.loads(line)["payload"] for line in watch.lines]


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """One broker for all steps after the first."""
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as started:
        yield started


@contextlib.contextmanager
def deployment(port: int):
    """The old broker with the agents lucy and bob. A ticket waits for bob, whose poller is off."""
    with OldBroker(port) as old:
        for agent in ("lucy", "bob"):
            call(
                old.url,
                "POST",
                "/agents/register",
                {
                    "agentId": agent,
                    "type": "claude",
                    "metadata": {"session": f"dev-{agent}", "paneId": "0"},
                },
            )
        assert ToolServer(old.url).send("bob", "waiting")
        yield old


# -- step 1: the broker ------------------------------------------------------------------


def test_replacing_the_broker_under_running_pollers_loses_no_ticket(tmp_path):
    port, url_of = free_port(), "http://127.0.0.1:{}".format
    tools = ToolServer(url_of(port))
    with (
        OldPoller(url_of(port), "lucy") as lucy,
        Broker(package_launcher(), tmp_path / "bridge.db") as beside,
    ):
        with deployment(port) as old:
            asked = tools.send("lucy", "before")
            wait_until(lambda: lucy.injected == ["before"], "a ticket through the old broker")
            call(old.url, "POST", "/replies", {"ticketId": asked, "payload": "done"})
            assert tools.reply_to(asked) == "done"

            assert migrate("agents", old.url, beside.url) == ["lucy", "bob"]
            assert migrate("left", old.url, status=1) == ["1\tbob"]
            forward = f"{sys.executable} {ROOT}/examples/migrate.py forward {beside.url}"
            with Program(old.url, POLL_INTERVAL_MS=50).running("watch", "bob", "--exec", forward):
                wait_until(lambda: not old.pending("bob"), "the move of bob's ticket")
            assert migrate("left", old.url) == []
        beside.stop()
        refused = tools.send("lucy", "while nobody listens")
        failed = lucy.failures
        wait_until(lambda: lucy.failures > failed, "a failed poll")

        with Broker(package_launcher(), tmp_path / "bridge.db", flags=["--port", str(port)]) as new:
            asked = tools.send("lucy", "after")
            wait_until(
                lambda: lucy.injected == ["before", "after"], "a ticket through the new broker"
            )
            call(new.url, "POST", "/replies", {"ticketId": asked, "payload": "done again"})
            assert tools.reply_to(asked) == "done again"
            with OldPoller(new.url, "bob") as bob:
                wait_until(lambda: bob.injected == ["waiting"], "the ticket that was moved")
            assert refused is None, "a send without a broker is not accepted, so it may be lost"
            assert {
                agent["agentId"]: agent["metadata"]["session"]
                for agent in new.ask("GET", "/agents").json
            } == {"lucy": "dev-lucy", "bob": "dev-bob"}


def test_going_back_to_the_old_broker_loses_no_ticket(tmp_path):
    """Drain our broker and start the old one on its port. The pollers need no change.

    A ticket for an agent without a poller is forwarded to the old broker.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    tools = ToolServer(url)
    with OldPoller(url, "lucy") as lucy:
        with (
            Broker(package_launcher(), tmp_path / "bridge.db", flags=["--port", str(port)]) as new,
            OldBroker(free_port()) as beside,
        ):
            for agent in ("lucy", "bob"):
                new.register(agent, type="claude")
            tools.send("lucy", "one")
            tools.send("bob", "waiting")
            wait_until(lambda: lucy.injected == ["one"], "a ticket through our broker")
            assert migrate("agents", new.url, beside.url) == ["lucy", "bob"]
            assert migrate("left", new.url, status=1) == ["1\tbob"]
            forward = f"{sys.executable} {ROOT}/examples/migrate.py forward {beside.url}"
            with Program(new.url).running("watch", "bob", "--exec", forward):
                wait_until(
                    lambda: beside.pending("bob") and not new.pending("bob"),
                    "the move of bob's ticket",
                )
            assert migrate("left", new.url) == []
        back = OldBroker(port)
        back.agents, back.tickets = beside.agents, beside.tickets
        with back:
            assert tools.send("lucy", "two")
            wait_until(
                lambda: lucy.injected == ["one", "two"],
                "a ticket through the old broker",
            )
            assert [ticket["payload"] for ticket in back.pending("bob")] == ["waiting"]


def test_migrate_reports_an_error_in_one_line(ours):
    for words, said in [
        (("left", "http://127.0.0.1:9"), "cannot be reached"),
        (("forward", ours.url), "answered 400"),
    ]:
        done = subprocess.run(
            [*MIGRATE, *words],
            input='{"agentId":"x"}',
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
            cwd=ROOT,
        )
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, (
            done.stderr
        )


# -- step 2: one watcher after another ----------------------------------------------------


def test_an_agent_moves_from_poller_to_watcher_and_back_while_others_still_poll(ours):
    agent, other = new_name(), new_name()
    with OldPoller(ours.url, other) as unmoved:
        with OldPoller(ours.url, agent) as before:
            ours.send(agent, 1)
            wait_until(lambda: before.injected == [1], "a ticket through the poller")
        ours.send(agent, 2)
        with Program(ours.url).running("watch", agent, "--print") as watch:
            ours.send(agent, 3)
            wait_until(lambda: payloads(watch) == [2, 3], "the backlog and a new ticket")
            ours.send(other, "still")
            wait_until(lambda: unmoved.injected == ["still"], "a ticket for the other agent")
        ours.send(agent, 4)
        with OldPoller(ours.url, agent) as after:
            wait_until(lambda: after.injected == [4], "a ticket through the poller again")


def test_after_a_kill_of_the_watcher_the_poller_gets_the_claimed_ticket(ours, tmp_path):
    agent, begun = new_name(), tmp_path / "begun"
    with Program(ours.url).running(
        "watch", agent, "--exec", f"echo $$ > {begun}.new; mv {begun}.new {begun}; exec sleep 1000"
    ) as watch:
        ticket = ours.send(agent, "half way")
        wait_until(begun.exists, "the start of the command")
        watch.kill()
    os.kill(int(begun.read_text()), signal.SIGKILL)
    with OldPoller(ours.url, agent) as poller:
        wait_until(lambda: poller.injected == ["half way"], "the ticket, in spite of its claim")
    assert ours.ticket(ticket)["status"] == "delivered"


def test_poller_and_watcher_on_one_agent_lose_no_ticket_and_double_only_the_current_one(
    ours, tmp_path
):
    """The watcher holds two tickets and is busy with the first. The poller takes both.

    The poller ignores claims, so the first ticket is typed twice. That is why MIGRATION.md stops
    the poller first. The second is typed once, because the watcher's claim for it is refused.
    """
    agent, begun, may_go = new_name(), tmp_path / "begun", tmp_path / "may-go"
    command = (
        f"cat >> {tmp_path}/taken; touch {begun}; while [ ! -e {may_go} ]; do sleep 0.02; done"
    )
    with Program(ours.url).running("watch", agent, "--exec", command) as watch:
        first, second = ours.send(agent, "first"), ours.send(agent, "second")
        wait_until(begun.exists, "the start of the first command")
        with OldPoller(ours.url, agent) as poller:
            wait_until(
                lambda: poller.injected == ["first", "second"], "both tickets through the poller"
            )
            wait_until(lambda: not ours.pending(agent), "both acknowledgements")
        may_go.touch()
        third = ours.send(agent, "third")
        wait_until(
            lambda: ours.ticket(third)["status"] == "delivered", f"the third ticket: {watch.said}"
        )
    taken = [json.loads(line)["payload"] for line in (tmp_path / "taken").read_text().splitlines()]
    assert taken == ["first", "third"]
    assert all(stages(ours.ticket(each))[-1] == "acknowledged" for each in (first, second, third))


def test_poller_and_watcher_together_lose_no_ticket_under_load(ours):
    agent, sent = new_name(), list(range(60))
    with (
        OldPoller(ours.url, agent) as poller,
        Program(ours.url).running("watch", agent, "--print") as watch,
    ):
        watch.wait_said("receiving")
        for number in sent:
            ours.send(agent, number)
        wait_until(lambda: not ours.pending(agent), "all acknowledgements")
        wait_until(
            lambda: set(payloads(watch)) | set(poller.injected) == set(sent),
            f"each ticket on one of the two sides: {watch.said}",
        )
        assert len(poller.injected) == len(set(poller.injected)) and payloads(watch) == sorted(
            set(payloads(watch))
        ), "no ticket twice on one side"


# -- step 4: polling off -------------------------------------------------------------------


def test_status_shows_agents_that_are_still_polled(ours):
    """`status` counts the agents with a plain poll in the last 15 s. Our watcher does not count.

    A user looks at this number before switching polling off.
    """
    agent = new_name()
    with OldPoller(ours.url, agent):
        wait_until(
            lambda: (
                ours.ask("GET", f"/debug/agent/{agent}/status").json.get("connection") == "poll"
            ),
            "the poll in the agent's status",
        )
        assert ours.ask("GET", "/debug/connections").json["polling"]["active"] >= 1
    with Program(ours.url).running("watch", agent, "--print"):
        wait_until(
            lambda: ours.ask("GET", f"/debug/agent/{agent}/status").json["connection"] == "sse",
            "the stream in the agent's status",
        )


def test_watchers_step_down_when_the_broker_disables_streams_and_climb_up_again(tmp_path):
    port, agent = free_port(), new_name()
    quick = {"BRIDGE_RECONNECT_MAX": 200, "BRIDGE_PROBE_INTERVAL": 300}
    with (
        Broker(package_launcher(), tmp_path / "bridge.db", flags=["--port", str(port)]) as broker,
        Program(broker.url, **quick).running("watch", agent, "--print") as watch,
    ):
        for number, disabled, connection in [
            (0, "false", "sse"),
            (1, "true", "longpoll"),
            (2, "false", "sse"),
        ]:
            if number:
                broker.stop()
                broker.settings["DISABLE_SSE"] = disabled
                broker.start()
            broker.send(agent, number)
            wait_until(
                lambda: payloads(watch) == list(range(number + 1)), f"ticket {number}: {watch.said}"
            )
            wait_until(
                lambda: (
                    broker.ask("GET", f"/debug/agent/{agent}/status").json["connection"]
                    == connection
                ),
                f"{connection}: {watch.said}",
            )
