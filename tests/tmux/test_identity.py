"""Names of panes; and a held pane that is moved, respawned or killed, or whose server restarts."""

from __future__ import annotations

import pytest
from panes import QUICK, Server, deliver, run, ticket, wait_reason

from bridge.errors import PaneLost, PaneNotReady, PaneUnfit
from bridge.tmux.injection.injector import Injector
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane import observe, resolve


@pytest.fixture
def own(tmp_path):
    """A tmux server that the test may end."""
    started = Server(tmp_path)
    yield started
    started.stop()


def find(server, session, pane):
    return run(resolve(Tmux(socket_name=server.name), session, pane))


def names(server):
    return server("list-sessions", "-F", "#{session_name}").split("\n")[:-1]


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "with space",
        "日本",
        "-dash",
        "=eq",
        "%5",
        "@3",
        "12",
        "*",
        "a;b",
        "a#b",
        "$weird",
        "tab\\t",
        "quo'te",
    ],
)
def test_a_session_is_found_by_its_exact_name(own, name):
    own("new-session", "-d", "-s", "first", "dash")
    own("new-session", "-d", "-s", name, "dash")
    stored = [one for one in names(own) if one != "first"][0]  # tmux rewrites some characters
    found = find(own, stored, "0")
    assert found.session == stored
    assert found.label == f"{stored}:0.0 ({found.pane_id})"
    assert found.pane_id == own("list-panes", "-a", "-F", "#{pane_id} #{session_name}").split("\n")[
        1
    ].split(" ")[0] or found.pane_id.startswith("%")


@pytest.mark.parametrize(
    ("session", "pane"),
    [
        ("dev", "0"),
        ("dev-l", "0"),
        ("*", "0"),
        ("", "0"),
        ("=dev-lucy", "0"),
        ("dev-lucy", "7"),
        ("dev-lucy", "1.0"),
        ("dev-lucy", "%99"),
        ("dev-lucy", "x"),
    ],
)
def test_a_missing_pane_raises_an_error_that_lists_the_existing_ones(own, session, pane):
    own("new-session", "-d", "-s", "dev-lucy", "dash")
    with pytest.raises(PaneLost, match="dev-lucy|is no pane's name"):
        find(own, session, pane)


def test_a_session_is_not_replaced_by_one_whose_name_begins_alike(own):
    own("new-session", "-d", "-s", "dev-lucy", "dash")
    own("new-session", "-d", "-s", "dev-lucy-2", "dash")
    assert find(own, "dev-lucy", "0").session == "dev-lucy"
    own("kill-session", "-t", "=dev-lucy")
    with pytest.raises(PaneLost, match="dev-lucy-2"):
        find(own, "dev-lucy", "0")


def test_panes_are_found_by_index_window_and_id(own):
    own("new-session", "-d", "-s", "s", "dash")
    own("split-window", "-t", "=s:", "dash")
    assert find(own, "s", "1").pane_id == "%1"
    own("new-window", "-t", "=s:", "dash")
    assert find(own, "s", "0.1").pane_id == "%1"
    assert find(own, "s", "1.0").pane_id == "%2"
    assert find(own, "s", "%0").pane_id == "%0"


def test_an_index_names_no_pane_of_a_session_with_several_windows(own):
    """This holds for any active window. After a loss the index could name another agent's pane."""
    own("new-session", "-d", "-s", "s", "dash")
    own("new-window", "-t", "=s:", "dash")
    for window in (0, 1):
        own("select-window", "-t", f"=s:{window}")
        with pytest.raises(
            PaneUnfit,
            match=r"several windows.*write window.pane, as 0\.0;"
            r" there is s:0\.0 \(%0\), s:1\.0 \(%1\)",
        ):
            find(own, "s", "0")


def test_base_index_and_pane_base_index_are_respected(own):
    own("new-session", "-d", "-s", "first", "dash")
    own("set-option", "-g", "base-index", "1")
    own("set-option", "-g", "pane-base-index", "1")
    own("new-session", "-d", "-s", "based", "dash")
    assert find(own, "based", "1").pane_id == "%1" == find(own, "based", "1.1").pane_id
    with pytest.raises(PaneLost):
        find(own, "based", "0")


def test_a_pane_of_grouped_sessions_is_one_pane(own):
    own("new-session", "-d", "-s", "s", "dash")
    own("new-session", "-d", "-t", "=s", "-s", "twin")
    assert find(own, "s", "0").pane_id == find(own, "twin", "0").pane_id == "%0"


def test_a_window_that_is_linked_twice_has_one_pane(own):
    own("new-session", "-d", "-s", "s", "dash")
    own("link-window", "-s", "=s:0", "-t", "=s:5")
    assert [find(own, "s", name).pane_id for name in ("%0", "0", "0.0", "5.0")] == ["%0"] * 4


def test_no_server_raises_pane_lost(own):
    with pytest.raises(PaneLost):
        find(own, "dev", "0")


def test_a_moved_and_renamed_pane_stays_held(own):
    pane = own.open("dash")
    own("new-session", "-d", "-s", "other", "dash")

    async def scenario():
        injector = pane.injector()
        await deliver(injector, ticket(ticket_id="T-1"))
        own("rename-session", "-t", f"={pane.session}", "renamed")
        await deliver(injector, ticket(ticket_id="T-2"))
        own("move-pane", "-s", pane.id, "-t", "=other:0")
        await deliver(injector, ticket(ticket_id="T-3"))
        own("break-pane", "-s", pane.id)
        await deliver(injector, ticket(ticket_id="T-4"))

    run(scenario())
    for number in range(1, 5):
        pane.wait_shown(f"python3 -m bridge show T-{number}")


def test_a_dead_pane_is_not_pasted_into_and_a_respawned_one_is(own):
    pane = own.open("dash")
    own("new-session", "-d", "-s", "witness", "dash")
    own("set-option", "-w", "-t", pane.id, "remain-on-exit", "on")

    async def scenario():
        injector = pane.injector()
        await deliver(injector, ticket(ticket_id="T-1"))
        pane.keys("C-d")
        await wait_reason(injector, "dead")
        with pytest.raises(PaneNotReady, match="dead"):
            await injector.inject(ticket(ticket_id="T-2"))
        own("respawn-pane", "-t", pane.id, "bash --norc")
        given = await deliver(injector, ticket(ticket_id="T-2"))
        # The injector holds the new process, and forgets what it learned from the old one.
        assert injector.pane.pane_pid == int(pane.get("pane_pid"))
        return given

    assert run(scenario()).form == "shell"
    pane.wait_shown("show T-2")
    # Before tmux 3.4 a paste into a dead pane ends the server.
    assert "witness" in names(own)


def test_a_killed_pane_is_lost_and_found_again_by_name(own):
    own("new-session", "-d", "-s", "witness", "dash")
    pane = own.open("dash")

    async def scenario():
        injector = pane.injector()
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-session", "-t", f"={pane.session}")
        for attempt in (
            injector.explain(),
            injector.inject(ticket(ticket_id="T-2")),
            injector.wait_ready(),
        ):
            with pytest.raises(PaneLost):
                await attempt
        own("new-session", "-d", "-s", pane.session, "dash")
        return await deliver(injector, ticket(ticket_id="T-2"))

    assert "%2" in run(scenario()).pane
    assert "T-2" not in own("capture-pane", "-p", "-t", "=witness:")


def test_a_pane_of_a_restarted_server_is_not_the_old_pane_with_that_id(own):
    own("new-session", "-d", "-s", "dev", "dash")
    tmux = Tmux(socket_name=own.name)

    async def scenario():
        injector = Injector(tmux, "dev", "0", QUICK)
        await deliver(injector, ticket(ticket_id="T-1"))
        held = injector.pane
        own("kill-server")
        with pytest.raises(PaneLost):
            await injector.explain()
        own("new-session", "-d", "-s", "stranger", "dash")  # its pane is the new %0
        with pytest.raises(PaneLost):
            await observe(tmux, held)
        with pytest.raises(PaneLost):
            await injector.inject(ticket(ticket_id="T-2"))
        own("new-session", "-d", "-s", "dev", "dash")
        return await deliver(injector, ticket(ticket_id="T-2"))

    assert "%1" in run(scenario()).pane
    assert "bridge" not in own("capture-pane", "-p", "-t", "=stranger:")
