"""`watch` and `supervise` in real panes: which pane a name means, and one agent in each."""

from __future__ import annotations

import pathlib
import re
import signal
import sys
from time import sleep

import pytest
from running import new_name, wait_until

from bridge.tmux.marks import RING

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tmux"))
from panes import Server

QUICK = {
    "BRIDGE_RETRY_MAX": "300",
    "BRIDGE_RECONNECT_MAX": "300",
    "BRIDGE_PANE_CHECK": "200",
    "BRIDGE_INJECT_RATE": "0",
    "BRIDGE_SESSIONS_INTERVAL": "200",
    "BRIDGE_COOL_DOWN": "0",
}
LONG = 120.0  # seconds for many agents in one pane on a loaded machine
BASH = "exec env PS1='$ ' HISTFILE=/dev/null bash --norc --noprofile"


@pytest.fixture
def tmux(tmp_path):
    started = Server(tmp_path)
    started("new-session", "-d", "-s", "witness", "exec cat")
    yield started
    started.stop()


class Words:
    """The command line for one tmux server; what its panes were given is in a file each."""

    def __init__(self, tmux: Server) -> None:
        self.tmux = tmux
        self.end = ["-L", tmux.name, "--shell-command", "echo {id} >> given-$TMUX_PANE"]

    def open(self, session: str) -> str:
        return self.tmux(
            "new-session",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-s",
            session,
            "-c",
            str(self.tmux.folder),
            BASH,
        ).strip()

    def window(self, target: str) -> str:
        return self.tmux(
            "new-window",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-t",
            f"={target}",
            "-c",
            str(self.tmux.folder),
            BASH,
        ).strip()

    def given(self, pane: str) -> list[str]:
        path = self.tmux.folder / f"given-{pane}"
        return path.read_text().split() if path.exists() else []

    def wait_given(self, pane: str, tickets: list[str]) -> None:
        wait_until(
            lambda: self.given(pane) == tickets, f"{tickets} in {pane}: it has {self.given(pane)}"
        )


@pytest.fixture
def words(tmux):
    return Words(tmux)


def why(bridge, ticket: str) -> str:
    return " ".join(bridge.run("why", ticket).split())


def wait_why(bridge, ticket: str, text: str) -> None:
    wait_until(lambda: re.search(text, why(bridge, ticket)), f"{text!r}: {why(bridge, ticket)}")


# Which pane


def test_an_index_in_a_session_with_several_windows_ends_watch_at_the_start(bridge, words):
    words.open("work")
    words.window("work:")
    for command in (["watch", new_name()], ["explain"]):
        bridge.run(*command, "work", "0", "-L", words.tmux.name, status=8)
        assert (
            "session 'work' has several windows" in bridge.stderr
            and "write window.pane, as 0.0; there is work:0.0 (%1), work:1.0 (%2)" in bridge.stderr
        )


def test_a_ticket_is_not_typed_into_the_window_that_is_left(bridge, served, words):
    """One session, a window for each agent: ours ends, and `0` would be the neighbour's."""
    agent = new_name()
    ours = words.open("work")
    with bridge.running("watch", agent, "work", "0", *words.end, **QUICK) as watch:
        first = served.send(agent)
        words.wait_given(ours, [first])
        neighbour = words.window("work:")
        watch.wait_said("the session has several windows now")
        words.tmux("kill-pane", "-t", ours)
        second = served.send(agent)
        wait_why(
            bridge,
            second,
            f"it stood beside {ours}, which is gone; if it is meant, start the watcher again, or name it {neighbour}",
        )
        watch.wait_said("is not taken")
        words.tmux("kill-session", "-t", "=work")
        anew = words.open("work")
        words.wait_given(anew, [second])
    assert sum("several windows now" in line for line in watch.said) == 1
    assert words.given(neighbour) == []


def test_a_window_and_a_pane_are_named_as_tmux_shows_them(bridge, served, words):
    lucy, bob = new_name(), new_name()
    words.open("work")
    first, second = words.window("work:1"), words.window("work:2")
    with (
        bridge.running("watch", lucy, "work", "1.0", *words.end, **QUICK),
        bridge.running("supervise", f"{bob}=work:2.0", *words.end, "--name", new_name(), **QUICK),
    ):
        sent = [served.send(lucy), served.send(bob)]
        words.wait_given(first, sent[:1])
        words.wait_given(second, sent[1:])


def test_the_neighbour_of_a_session_s_first_pane_is_not_the_agent_s(bridge, served, words):
    agent = new_name()
    ours = words.open(f"dev-{agent}")
    with bridge.running(
        "supervise", "--sessions", "dev-*", *words.end, "--name", new_name(), **QUICK
    ) as process:
        words.wait_given(ours, [served.send(agent)])
        neighbour = words.window(f"dev-{agent}:")
        words.tmux("kill-pane", "-t", ours)
        process.wait_said("pane lost")
        sent = served.send(agent)
        wait_why(bridge, sent, "no pane of session")
        assert not any("moved" in line for line in process.said)
        words.tmux("kill-session", "-t", f"=dev-{agent}")
        words.wait_given(words.open(f"dev-{agent}"), [sent])
    assert words.given(neighbour) == []


# One agent


def test_a_second_watch_of_another_agent_is_refused_while_the_first_lives(bridge, served, words):
    lucy, bob = new_name(), new_name()
    pane = words.open("dev")
    with bridge.running("watch", lucy, "dev", "0", *words.end, **QUICK) as watch:
        words.wait_given(pane, [first := served.send(lucy)])
        for name in ("0", "0.0", pane):
            bridge.run("watch", bob, "dev", name, "-L", words.tmux.name, status=8)
            assert (
                f"has agent '{lucy}' already, typed for by process {watch.process.pid}: stop that one"
                in bridge.stderr
            )
        with bridge.running("watch", lucy, "dev", "0.0", *words.end, **QUICK) as twin:
            twin.wait_said("receiving")
        bridge.run("watch", bob, "dev", "0", "-L", words.tmux.name, status=8)
    with bridge.running("watch", bob, "dev", "0", *words.end, **QUICK) as watch:
        words.wait_given(pane, [first, second := served.send(bob)])
        watch.kill()
    with bridge.running("watch", lucy, "dev", "0", *words.end, **QUICK):
        words.wait_given(pane, [first, second, served.send(lucy)])
    assert words.tmux("show-options", "-p", "-t", pane, "-v", "-q", "@bridge_watcher") == ""


@pytest.mark.parametrize("name", ["dev:0.0", "%1"])
def test_a_supervisor_serves_one_of_two_agents_that_name_one_pane_differently(
    bridge, served, words, name
):
    lucy, bob, other = new_name(), new_name(), new_name()
    pane, elsewhere = words.open("dev"), words.open("dev-other")
    assert pane == "%1"
    with bridge.running(
        "supervise",
        f"{lucy}=dev:0",
        f"{bob}={name}",
        f"{other}=dev-other:0",
        *words.end,
        "--name",
        new_name(),
        **QUICK,
    ) as process:
        sent = {agent: served.send(agent) for agent in (lucy, bob, other)}
        words.wait_given(elsewhere, [sent[other]])
        process.wait_said("already, and takes one only")
        one = wait_until(
            lambda: [agent for agent in (lucy, bob) if words.given(pane) == [sent[agent]]],
            "one of them",
        )[0]
        left = bob if one == lucy else lucy
        wait_why(
            bridge,
            sent[left],
            f"has agent '{one}' already, and takes one only: give each agent a pane of its own, or ask for it .--share-pane",
        )
        assert served.ask("GET", f"/debug/agent/{left}/status").json["sessionHealth"] == "lost"
    assert words.given(pane) == [sent[one]]


def test_an_agent_that_was_refused_has_the_pane_when_the_other_goes(
    bridge, served, words, tmp_path
):
    lucy, bob, path = new_name(), new_name(), tmp_path / "agents.json"
    pane = words.open("dev")
    path.write_text(f'{{"{lucy}": "dev:0"}}')
    with bridge.running(
        "supervise",
        "--file",
        str(path),
        "--file-check",
        "50",
        *words.end,
        "--name",
        new_name(),
        **QUICK,
    ) as process:
        words.wait_given(pane, [first := served.send(lucy)])
        path.write_text(f'{{"{lucy}": "dev:0",\n "{bob}": "dev:0.0"}}')
        second = served.send(bob)
        process.wait_said(f"has agent '{lucy}' already")
        path.write_text(f'{{\n "{bob}": "dev:0.0"}}')
        words.wait_given(pane, [first, second])
        path.write_text(f'{{"{lucy}": "dev:0",\n "{bob}": "dev:0"}}')
        process.wait_said(f"line 2: agents '{lucy}' and '{bob}' name one pane")


def test_agents_that_share_a_pane_have_one_ticket_under_way(bridge, served, words):
    agents = [new_name() for _ in range(4)]
    pane = words.open("dev")
    targets = [f"{agent}=dev:{name}" for agent, name in zip(agents, ("0", "0", "0.0", "%1"))]
    with bridge.running(
        "supervise", *targets, "--share-pane", *words.end, "--name", new_name(), **QUICK
    ) as process:
        process.wait_said("receiving")
        bridge.run("watch", new_name(), "dev", "0", "-L", words.tmux.name, status=8)
        sent = [served.send(agent) for _ in range(5) for agent in agents]
        wait_until(
            lambda: sorted(words.given(pane)) == sorted(sent),
            f"all of them, once: {words.given(pane)}",
        )
        wait_until(lambda: not any(map(served.pending, agents)), "the acknowledgements")
    spans = []
    for ticket in words.given(pane):
        history = served.ticket(ticket)["history"]
        spans.append(
            [
                [entry["at"] for entry in history if entry["stage"] == stage][-1]
                for stage in ("claimed", "acknowledged")
            ]
        )
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:])), spans


def test_kill_9_of_a_supervisor_whose_agents_share_a_pane_types_nothing_twice(
    bridge, served, words
):
    """More agents than the pane remembers tickets; the broker stands still now and then, so that acknowledgements are owed."""
    agents, name = [new_name() for _ in range(RING + 1)], new_name()
    pane = words.open("dev")
    command = [
        "supervise",
        *(f"{agent}=dev:0" for agent in agents),
        "--share-pane",
        *words.end,
        "--name",
        name,
        "--lease",
        "500",
    ]
    sent = [served.send(agent) for _ in range(2) for agent in agents]
    for count in (2, RING):
        with bridge.running(*command, **QUICK) as process:
            wait_until(
                lambda count=count: len(words.given(pane)) >= count,
                f"{count} of them: {process.said[-3:]}",
                LONG,
            )
            served.signal(signal.SIGSTOP)
            wait_until(
                lambda: (
                    (seen := words.given(pane)) and not sleep(0.2) and seen == words.given(pane)
                ),
                "no more to come without the broker",
            )
            process.kill()
            served.signal(signal.SIGCONT)
    with bridge.running(*command, **QUICK):
        wait_until(lambda: not any(map(served.pending, agents)), "the acknowledgements", LONG)
    assert sorted(words.given(pane)) == sorted(sent)


def test_an_agent_that_shows_a_paste_late_gets_each_ticket_alone(bridge, served, words):
    agents = [new_name() for _ in range(4)]
    handle = words.tmux.agent("--slow", "0.6")
    targets = [f"{agent}={handle.session}:0" for agent in agents]
    with bridge.running(
        "supervise",
        *targets,
        "--share-pane",
        "--form",
        "agent",
        *words.end,
        "--name",
        new_name(),
        **QUICK,
    ):
        sent = [served.send(agent) for _ in range(2) for agent in agents]
        wait_until(lambda: not any(map(served.pending, agents)), "the acknowledgements", LONG)
    assert sorted(
        re.findall(r"Ticket (\S+)\.", message) for message in handle.messages()
    ) == sorted([ticket] for ticket in sent)


def test_a_supervisor_does_not_share_a_pane_with_another_process(bridge, served, words):
    lucy, bob = new_name(), new_name()
    pane = words.open("dev")
    with bridge.running("watch", lucy, "dev", "0", *words.end, **QUICK) as watch:
        words.wait_given(pane, [first := served.send(lucy)])
        with bridge.running(
            "supervise", f"{bob}=dev:0", "--share-pane", *words.end, "--name", new_name(), **QUICK
        ) as process:
            second = served.send(bob)
            process.wait_said(f"typed for by process {watch.process.pid}")
            assert words.given(pane) == [first]
            watch.kill()
            words.wait_given(pane, [first, second])


@pytest.mark.parametrize(
    "words, says",
    [
        (
            ["lucy=dev-lucy:0", "--exec", "cat"],
            "'lucy=dev-lucy:0' names a pane, and --print and --exec need none: write lucy",
        ),
        (["lucy=%7", "--print"], "write lucy"),
        (["lucy=dev-lucy:0", "bob=dev-lucy:0"], "agents 'lucy' and 'bob' name one pane"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(bridge, words, says):
    bridge.run("supervise", *words, status=2)
    assert says in bridge.stderr and bridge.stderr.count("\n") == 1
