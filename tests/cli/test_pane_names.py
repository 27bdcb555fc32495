"""`watch`, `supervise` and `explain` in real panes: the pane that a name means."""

from __future__ import annotations

import pytest
from running import new_name

from cli.shell_panes import QUICK, shell_panes, wait_why


@pytest.fixture
def words(tmp_path):
    with shell_panes(tmp_path) as made:
        yield made


def test_an_index_in_a_session_with_several_windows_ends_watch_at_the_start(bridge, words):
    words.open("work")
    words.window("work:")
    for command in (["watch", new_name()], ["explain"]):
        bridge.run(*command, "work", "0", "-L", words.tmux.name, status=8)
        assert (
            "session 'work' has several windows" in bridge.stderr
            and "write window.pane, as 0.0; there is work:0.0 (%1), work:1.0 (%2)" in bridge.stderr
        )


def test_a_ticket_is_not_typed_into_the_remaining_window(bridge, served, words):
    """One session, one window for each agent. Ours ends, and `0` would name the neighbour's."""
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
            f"it stood beside {ours}, which is gone; if it is meant, start the watcher again, "
            f"or name it {neighbour}",
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


def test_the_neighbour_of_a_sessions_first_pane_gets_no_ticket(bridge, served, words):
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
