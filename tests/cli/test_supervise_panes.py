"""`supervise` with many real panes: each ticket once in its own pane, after any process is killed.

BRIDGE_TEST_PANES sets the number of panes.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import threading

import pytest
from panes import Server
from running import Broker, package_launcher, stages, wait_until

PANES = int(os.environ.get("BRIDGE_TEST_PANES") or 30)
LONG = 180.0  # seconds for all panes together on a loaded machine
QUICK = {
    "BRIDGE_RECONNECT_MAX": "300",
    "BRIDGE_RETRY_MAX": "300",
    "BRIDGE_LEASE": "2000",
    "BRIDGE_INJECT_RATE": "0",
    "BRIDGE_PANE_CHECK": "500",
    "BRIDGE_SESSIONS_INTERVAL": "200",
}


class Ward:
    """A tmux server with one bash for each agent. Each writes its tickets into a file."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.tmux = Server(folder)
        self.agents = [f"w{number:03}" for number in range(PANES)]
        self.pids: set[int] = set()
        self.sent: dict[str, list[str]] = {agent: [] for agent in self.agents}
        for agent in self.agents:
            (folder / agent).mkdir()
            self.open(agent)

    def open(self, agent: str) -> None:
        self.tmux(
            "new-session",
            "-d",
            "-s",
            f"dev-{agent}",
            "-x",
            "100",
            "-y",
            "15",
            "-c",
            str(self.folder / agent),
            "exec bash --norc --noprofile",
        )
        self.pids.add(int(self.tmux("list-panes", "-t", f"=dev-{agent}:", "-F", "#{pane_pid}")))

    def given(self, agent: str) -> list[str]:
        path = self.folder / agent / "given"
        return path.read_text().split() if path.exists() else []

    def wait_all(self, agents, process) -> None:
        def missing() -> dict[str, list[str]]:
            return {
                agent: self.sent[agent][len(self.given(agent)) :]
                for agent in agents
                if len(self.given(agent)) < len(self.sent[agent])
            }

        try:
            wait_until(lambda: not missing(), "every ticket in its pane", LONG)
        except AssertionError:
            raise AssertionError(
                f"never came: {missing()}\n" + "\n".join(process.said[-20:])
            ) from None
        for agent in agents:
            assert self.given(agent) == self.sent[agent], agent

    def words(self, *more: str) -> list[str]:
        return ["supervise", "-L", self.tmux.name, "--shell-command", "echo {id} >> given", *more]

    def stop(self) -> None:
        self.tmux.stop()
        for pid in self.pids:  # an ending shell writes its history into our folder
            wait_until(
                lambda pid=pid: not pathlib.Path(f"/proc/{pid}").exists(), "the end of a pane"
            )


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    made = Ward(tmp_path_factory.mktemp("ward"))
    yield made
    made.stop()


@pytest.fixture
def sending(ward):
    """sending(broker, rounds): send tickets to all agents, as fast as the broker accepts them."""
    numbers = itertools.count(len([each for sent in ward.sent.values() for each in sent]))

    def send(broker, rounds: int) -> None:
        with broker.line() as line:
            for _ in range(rounds):
                for agent in ward.agents:
                    answer = line.ask(
                        "POST",
                        f"/agents/{agent}/send",
                        {"payload": "x", "ticketId": f"{agent}-{next(numbers)}"},
                    )
                    assert answer.status == 202, answer
                    ward.sent[agent].append(answer.json["ticketId"])

    return send


def test_sessions_become_agents_and_each_pane_gets_its_own_tickets_once(
    bridge, served, ward, sending
):
    with bridge.running(*ward.words("--sessions", "dev-*", "--name", "ward"), **QUICK) as process:
        sending(served, 2)
        ward.wait_all(ward.agents, process)
        evidence = [
            entry
            for entry in served.ticket(ward.sent[ward.agents[3]][0])["history"]
            if entry["stage"] == "injected"
        ][0]["evidence"]
        assert f"dev-{ward.agents[3]}:" in evidence["pane"]
        wait_until(
            lambda: all(not served.pending(agent) for agent in ward.agents),
            "the acknowledgements",
            LONG,
        )
        listed = {each["agentId"]: each for each in served.ask("GET", "/agents").json}
        assert listed[ward.agents[0]]["metadata"] == {
            "session": f"dev-{ward.agents[0]}",
            "paneId": "0.0",
            "registeredBy": "bridge",
        }


def test_a_killed_pane_and_a_busy_one_do_not_disturb_the_others(bridge, served, ward, sending):
    lost, busy, *others = ward.agents
    with bridge.running(
        *ward.words("--sessions", "dev-*", "--name", "ward", "--forget-after", "3600000"), **QUICK
    ) as process:
        wait_until(
            lambda: sum("watching agent=" in line for line in list(process.said)) == PANES,
            "all agents",
            LONG,
        )
        ward.tmux("kill-session", "-t", f"=dev-{lost}")
        ward.tmux("send-keys", "-t", f"=dev-{busy}:", "sleep 1000", "Enter")
        wait_until(
            lambda: (
                ward.tmux(
                    "display-message", "-p", "-t", f"=dev-{busy}:", "#{pane_current_command}"
                ).strip()
                == "sleep"
            ),
            "sleep",
        )
        sending(served, 1)
        ward.wait_all(others, process)
        wait_until(
            lambda: (
                served.ask("GET", f"/debug/agent/{lost}/status").json["sessionHealth"] == "lost"
            ),
            "the loss",
            LONG,
        )
        wait_until(
            lambda: (
                served.ask("GET", f"/debug/agent/{busy}/status").json["sessionHealth"] == "busy"
            ),
            "the busy one",
            LONG,
        )
        assert "claimed" not in stages(served.ticket(ward.sent[busy][-1]))
        ward.open(lost)
        ward.tmux("send-keys", "-t", f"=dev-{busy}:", "C-c")
        ward.wait_all(ward.agents, process)


def test_kill_9_of_the_supervisor_and_of_the_broker_under_load(
    program_for, ward, sending, tmp_path
):
    """Each is killed twice during sends. Then every ticket is in its pane, once, in order."""
    broker = Broker(package_launcher(), tmp_path / "bridge.db", BRIDGE_RATE_LIMIT=0).start()
    broker.flags = ["--port", str(broker.port)]
    words = ward.words("--sessions", "dev-*", "--name", "ward")
    try:
        program = program_for(broker.url, **QUICK)
        for _ in range(2):
            with program.running(*words) as process:
                sender = threading.Thread(target=sending, args=(broker, 2))
                sender.start()
                wait_until(
                    lambda: (
                        sum(len(ward.given(agent)) for agent in ward.agents)
                        > sum(map(len, ward.sent.values())) - 3 * PANES // 2
                    ),
                    "some are in",
                    LONG,
                )
                process.kill()
                sender.join()
        with program.running(*words) as process:
            for _ in range(2):
                broker.kill()
                broker.start()
                sending(broker, 1)
            ward.wait_all(ward.agents, process)
            wait_until(
                lambda: all(not broker.pending(agent) for agent in ward.agents),
                "the acknowledgements",
                LONG,
            )
    finally:
        broker.stop()


@pytest.mark.parametrize("names", [["same", "same"], ["one", "other"]])
def test_two_supervisors_started_by_mistake_type_nothing_twice(
    bridge, served, ward, sending, names
):
    first, second = ([*ward.words("--sessions", "dev-*"), "--name", name] for name in names)
    with bridge.running(*first, **QUICK) as one, bridge.running(*second, **QUICK) as other:
        one.wait_said("receiving")
        other.wait_said("receiving")
        sending(served, 1)
        ward.wait_all(ward.agents, one)
        wait_until(
            lambda: all(not served.pending(agent) for agent in ward.agents),
            "the acknowledgements",
            LONG,
        )


def test_agents_that_were_registered_are_discovered_and_moved(program_for, start, ward):
    """Agents come from the command line, by name and by pane id, and from the registry.

    The command line wins.
    """
    served = start(BRIDGE_RATE_LIMIT=0)
    bridge = program_for(served.url)
    first, second, third = ward.agents[:3]
    pane = ward.tmux("list-panes", "-t", f"=dev-{second}:", "-F", "#{pane_id}").strip()
    served.register("found", metadata={"session": f"dev-{third}", "paneId": "0"})
    served.register("elsewhere", metadata={"session": "on-another-machine", "paneId": "0"})
    served.register("named", metadata={"session": f"dev-{third}", "paneId": "0"})
    before = {agent: ward.given(agent) for agent in (first, second, third)}
    with bridge.running(
        *ward.words(
            f"named=dev-{first}:0",
            f"by-id={pane}",
            "--discover",
            "--share-pane",
            "--name",
            "registry",
            "--discover-interval",
            "200",
        ),
        **QUICK,
    ) as process:
        sent = [served.send(agent) for agent in ("named", "by-id", "found")]

        def given() -> list[list[str]]:
            return [ward.given(agent)[len(before[agent]) :] for agent in (first, second, third)]

        wait_until(
            lambda: given() == [[each] for each in sent], f"one each: {process.said[-5:]}", LONG
        )
        assert served.ask("GET", "/subscribers/registry").json["agents"] == [
            "by-id",
            "found",
            "named",
        ]
        served.register("found", metadata={"session": f"dev-{first}", "paneId": "0"})
        process.wait_said("moved agent=found")
        sent.append(served.send("found"))
        wait_until(lambda: given()[0] == [sent[0], sent[3]], "the one that moved", LONG)
        assert served.ask("DELETE", "/agents/found").status == 204
        wait_until(
            lambda: served.ask("GET", "/subscribers/registry").json["agents"] == ["by-id", "named"],
            "it is no longer served",
            LONG,
        )
    for agent, count in ((first, 2), (second, 1), (third, 1)):
        ward.sent[agent] += ward.given(agent)[-count:]
