"""`watch` and `supervise` in real panes: one agent in each pane, unless they share it."""

from __future__ import annotations

import re
import signal
from time import sleep

import pytest
from running import new_name, wait_until

from bridge.tmux.injection.pane_marks import RING
from cli.shell_panes import QUICK, shell_panes, wait_why

LONG = 120.0  # seconds for many agents in one pane on a loaded machine


@pytest.fixture
def words(tmp_path):
    with shell_panes(tmp_path) as made:
        yield made


def test_a_second_watch_of_another_agent_is_refused_while_the_first_lives(bridge, served, words):
    lucy, bob = new_name(), new_name()
    pane = words.open("dev")
    with bridge.running("watch", lucy, "dev", "0", *words.end, **QUICK) as watch:
        words.wait_given(pane, [first := served.send(lucy)])
        for name in ("0", "0.0", pane):
            bridge.run("watch", bob, "dev", name, "-L", words.tmux.name, status=8)
            other = f"'{lucy}' already, typed for by process {watch.process.pid}: stop that one"
            assert f"has agent {other}" in bridge.stderr
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
            f"has agent '{one}' already, and takes one only: give each agent a pane of its own, "
            "or ask for it .--share-pane",
        )
        assert served.ask("GET", f"/debug/agent/{left}/status").json["sessionHealth"] == "lost"
    assert words.given(pane) == [sent[one]]


def test_an_agent_that_was_refused_gets_the_pane_when_the_other_goes(
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


def test_agents_that_share_a_pane_have_one_claimed_ticket_at_a_time(bridge, served, words):
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
    """With more agents than the pane has marks for tickets.

    The broker is stopped now and then, so that acknowledgements are outstanding.
    """
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
                "no more tickets without the broker",
            )
            process.kill()
            served.signal(signal.SIGCONT)
    with bridge.running(*command, **QUICK):
        wait_until(lambda: not any(map(served.pending, agents)), "the acknowledgements", LONG)
    assert sorted(words.given(pane)) == sorted(sent)


def test_an_agent_that_shows_a_paste_late_gets_one_ticket_a_message(bridge, served, words):
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
def test_wrong_arguments_are_one_line(bridge, words, says):
    bridge.run("supervise", *words, status=2)
    assert says in bridge.stderr and bridge.stderr.count("\n") == 1
