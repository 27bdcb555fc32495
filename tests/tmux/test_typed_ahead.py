"""Words that a person typed ahead into a shell without a line editor.

The kernel's line buffer holds them, and the screen does not show them.
"""

from __future__ import annotations

import pytest
from panes import QUICK, TYPED, deliver, run, ticket, until

from bridge.errors import PaneNotReady

DASH = "env 'PS1=dev$ ' dash"


def test_words_typed_ahead_of_a_clean_prompt_are_not_run_and_not_lost(server):
    """They were typed while a command ran, which then cleared the screen."""
    (server.folder / "wait").write_text(
        "until [ -e go ]; do sleep 0.05; done; printf '\\033[H\\033[2J'\n"
    )
    pane = server.open(DASH)
    pane.wait_shown("dev$")
    pane.keys("sh wait", "Enter")
    pane.type("touch typed-ahead; : ")
    pane.wait_shown("touch typed-ahead; :")
    (server.folder / "go").touch()
    until(lambda: pane.screen().split("\n")[0] == "dev$", "a clean prompt")

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="somebody typed ahead"):
            await injector.inject(ticket())
        assert not (await injector.explain()).ready  # the screen shows the words now
        pane.keys("Enter")
        until((server.folder / "typed-ahead").exists, "the person's own line")
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"
    pane.wait_shown("No module named bridge")


def test_an_empty_line_gets_the_command_below_the_reprint_each_time(server):
    pane = server.open(DASH)
    pane.wait_shown("dev$")

    async def scenario():
        injector = pane.injector()
        for number in (1, 2):
            assert (await deliver(injector, ticket(ticket_id=f"T-{number}"))).form == "shell"
            until(
                lambda count=number: pane.screen().count("No module named bridge") == count,
                "the command's end",
            )

    run(scenario())
    rows = pane.screen().split("\n")
    assert [rows[rows.index(TYPED.format(id=f"T-{number}")) - 1] for number in (1, 2)] == [
        "dev$ ^R"
    ] * 2


@pytest.mark.parametrize("is_wiped", [True, False], ids=["wiped", "a line"])
def test_a_reprint_decides_whether_blanks_above_a_prompt_belong_to_a_line(server, is_wiped):
    """The soak found this: the pane was never ready again after a wrapped line was deleted.

    The deletion left blanks up to the right edge, and Enter brought the next prompt below them.
    """
    pane = server.open(DASH, width=60)
    pane.wait_shown("dev$")
    if is_wiped:
        pane.type("x" * 60)
        pane.wait_shown("x" * 55)
        pane.keys(*["BSpace"] * 60)
        until(lambda: pane.get("cursor_y") == "0", "the deletion of the line")
        pane.keys("Enter")
        until(
            lambda: (pane.get("cursor_x"), pane.get("cursor_y")) == ("5", "1"), "the prompt below"
        )
    else:
        pane.type(" " * 55 + "dev$ ")
        until(lambda: pane.get("cursor_y") == "1", "a line that looks the same")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        if is_wiped:
            return await deliver(injector, ticket())
        with pytest.raises(PaneNotReady, match="somebody typed ahead"):
            await injector.inject(ticket())

    run(scenario())
    assert ("bridge show" in pane.screen()) is is_wiped


def test_a_prompt_with_a_leftover_reprint_is_ready(server):
    """A watcher died after it sent ^R."""
    pane = server.open(DASH)
    pane.wait_shown("dev$")
    pane.keys("C-r")
    pane.wait_shown("^R")
    assert run(deliver(pane.injector(), ticket())).form == "shell"
    pane.wait_shown("No module named bridge")
