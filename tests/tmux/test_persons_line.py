"""Nothing is typed into a person's unfinished line in a real pane, however the line looks.

It may wrap, scroll sideways, have several rows, or stand below other output.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys

import pytest
from panes import AGENTS, QUICK, deliver, run, ticket, until, wait_reason

from bridge.errors import PaneNotReady

BASH, ZSH, FISH = "bash --norc --noprofile", "zsh -f", "fish --no-config"
LOOKS = 12  # consecutive looks that must refuse, because a shell draws its prompt in pieces


async def refused(pane, injector, typed: str) -> None:
    """Assert that every look refuses, and that the screen with the person's words is unchanged."""
    before = pane.screen()
    for _ in range(LOOKS):
        verdict = await injector.explain()
        assert not verdict.ready, f"{verdict} for {typed!r}:\n{pane.screen()}"
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())
        await asyncio.sleep(0.03)
    assert pane.screen() == before and "show T-1" not in before


def type_and_see(pane, text: str) -> None:
    x, y = pane.get("cursor_x"), pane.get("cursor_y")
    pane.type(text)
    until(lambda: (pane.get("cursor_x"), pane.get("cursor_y")) != (x, y), "the echo of the keys")
    seen = [""]

    def still() -> bool:
        now = pane.screen() + pane.get("cursor_x")
        seen.append(now)
        return seen[-1] == seen[-2]

    until(still, "a screen that no longer changes")


@pytest.mark.parametrize("shell", [BASH, ZSH, FISH])
@pytest.mark.parametrize("tail", ["bbbb % ", "> ", "$ ", "x@y:~# ", "% "])
def test_a_line_that_wraps_is_not_an_empty_prompt(server, shell, tail):
    """The second row alone looks like an empty prompt."""
    pane = server.open(shell, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        left = 60 - int(pane.get("cursor_x"))
        type_and_see(pane, "echo " + "a" * (left - 5) + tail)
        await refused(pane, injector, tail)

    run(scenario())


@pytest.mark.parametrize("shell", [BASH, ZSH])
def test_a_line_whose_first_row_ends_in_blanks_is_not_an_empty_prompt(server, shell):
    pane = server.open(shell, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        left = 60 - int(pane.get("cursor_x"))
        type_and_see(pane, "echo " + "a" * (left - 8) + "   " + "bb/ % ")
        await refused(pane, injector, "blanks at the edge")
        pane.keys("C-a")
        until(lambda: pane.get("cursor_y") == "0", "the cursor at the line's start")
        # An editor may use a line feed to go down. The row must still count as wrapped.
        pane.keys("C-e")
        until(lambda: pane.get("cursor_y") == "1", "the cursor at the line's end")
        await refused(pane, injector, "blanks at the edge, after a move")

    run(scenario())


def test_a_line_that_scrolls_sideways_in_a_one_row_pane_is_not_an_empty_prompt(server):
    pane = server.open(BASH, width=40, height=1)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        type_and_see(pane, "echo " + "a" * 36 + " % ")
        await refused(pane, injector, "scrolled")

    run(scenario())


ROWS = {
    "fish-multiline": (FISH, ["for x in 1 2", "Enter", "echo item % "]),
    "fish-quote": (FISH, ["echo 'a", "Enter", "b c % "]),
    "bash-quote-without-ps2": ("env PS2= " + BASH, ["echo 'a", "Enter", "b c % "]),
    "bash-cursor-at-start": (BASH, ["echo moved % ", "C-a"]),
    "zsh-incremental-search": (ZSH, ["C-r"]),
    "fish-line-below": (FISH, ["x", "C-a", "M-Enter", "Up"]),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_line_of_several_rows_is_not_an_empty_prompt(server, name):
    shell, keys = ROWS[name]
    pane = server.open(shell)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        for key in keys:
            if key in ("Enter", "Up") or key.startswith(("C-", "M-")):
                pane.keys(key)
            else:
                type_and_see(pane, key)
        await asyncio.sleep(0.3)
        await refused(pane, injector, name)

    run(scenario())


QUESTIONS = {
    "fish-read": (FISH, "read answer", "read>"),
    "zsh-select": (ZSH, "select x in a b; do echo $x; done", "?#"),
    "zsh-vared": (ZSH, "v=; vared -p 'commit message> ' v", "commit message>"),
    "bash-read-e": (BASH, "read -e -p 'commit message> ' v", "commit message>"),
    "bash-read-e-question": (BASH, "read -e -p 'Deploy to PRODUCTION? [Y/n]: ' v", "[Y/n]:"),
    "dash-read": ("dash", "printf 'commit message> '; read v", "commit message>"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_not_a_prompt(server, name):
    """A command that is typed there would become the answer."""
    shell, command, shown = QUESTIONS[name]
    pane = server.open(shell)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type(command)
        pane.keys("Enter")
        until(lambda: pane.screen().rstrip().endswith(shown), f"the question:\n{pane.screen()}")
        await refused(pane, injector, name)

    run(scenario())


def test_a_question_that_is_asked_twice_is_not_learned(server):
    """A prompt is learned when a command ends, and a question also appears after one."""
    pane = server.open(BASH)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type(
            "ask() { sleep 0.4; read -e -p 'Deploy to PRODUCTION? [Y/n]: ' v; }; ask; ask; ask"
        )
        pane.keys("Enter")
        for _ in range(2):
            until(lambda: pane.screen().rstrip().endswith("[Y/n]:"), "the question")
            await refused(pane, injector, "asked")
            pane.keys("n", "Enter")
            await wait_reason(injector, "running")
        until(lambda: pane.screen().rstrip().endswith("[Y/n]:"), "the last question")
        await refused(pane, injector, "asked again")

    run(scenario())


@pytest.mark.parametrize("noise", ["\\nProgress: 45% ", "\\nserver ready > ", "\\ndone/ % "])
def test_output_over_a_half_line_does_not_make_it_a_prompt(server, noise):
    """After a prompt is known, only a line that looks like it is a prompt."""
    pane = server.open(f"env PS1='user@host:$ ' {BASH}")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        await deliver(injector, ticket(ticket_id="T-0"))
        injector.note_ran()  # as if `show` had reported that it ran
        until(lambda: pane.screen().rstrip().endswith("user@host:$"), "the prompt is back")
        for _ in range(8):
            await injector.explain()
            await asyncio.sleep(0.1)
        pane.type(f"(sleep 0.7; printf '{noise.replace('%', '%%')}') & ")
        pane.keys("Enter")
        pane.type("touch ran; : ")
        until(
            lambda: noise.replace("\\n", "\n").rstrip() in pane.screen(),
            "the noise in its own row",
        )
        await refused(pane, injector, noise)

    run(scenario())
    assert not (server.folder / "ran").exists()


@pytest.mark.parametrize(
    "keys",
    [["Escape"], ["echo DONE >> DEPLOYS", "Enter", "echo x", "Escape", "d", "d"]],
    ids=["escape", "cleared"],
)
def test_a_shell_in_vi_command_mode_runs_nothing_after_a_paste(server, keys):
    """In vi's command mode bash reads a paste as commands, which may recall an older line.

    Enter would then run that line.
    """
    pane = server.open(f"{BASH} -o vi")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        await injector.wait_ready()
        pane.type("echo PROD >> LOG")
        pane.keys("Enter")
        for key in keys:
            pane.keys(key) if key in ("Enter", "Escape") else pane.type(key)
        await asyncio.sleep(0.7)  # readline waits for the rest of an escape sequence
        lines = (server.folder / "LOG").read_text().count("PROD")
        with pytest.raises(
            PaneNotReady, match="Enter was not pressed|not empty|no prompt|at the last moment"
        ):
            await injector.inject(ticket())
        await asyncio.sleep(0.3)
        assert (server.folder / "LOG").read_text().count("PROD") == lines
        files = sorted(path.name for path in server.folder.iterdir() if path.is_file())
        assert [name for name in files if name not in ("LOG", "DEPLOYS")] == [
            name for name in files if name.startswith("messages") or name == "ran"
        ]

    run(scenario())


def test_blanks_that_a_long_line_left_do_not_make_a_prompt_a_draft(server):
    """The soak found this: a row kept the blanks of a long line.

    The pane was never ready again.
    """
    pane = server.open(BASH, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("printf 'x%59s\\n' ''")
        pane.keys("Enter")
        until(lambda: pane.get("cursor_y") == "2", "the row of blanks")
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"


def test_keys_that_the_program_has_not_read_prevent_a_paste(server):
    """Found with aider, which worked for two seconds and did not show the typed keys."""
    words = shlex.join(
        [sys.executable, str(AGENTS / "agent.py"), "--log", str(server.folder / "unread")]
    )
    # tmux continues its own child when that is stopped, so a shell stands between the two.
    pane = server.open(shlex.join(["sh", "-c", words + "; :"]))
    pane.wait_shown("BRIDGE-TEST-AGENT")
    pane.form, pane.log = "agent", server.folder / "unread"

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        program = (await injector.look())[1].terminal.reader.pid
        os.kill(program, signal.SIGSTOP)
        try:
            pane.type("half a line")
            await wait_reason(injector, "has not read all keys")
            with pytest.raises(PaneNotReady, match="has not read all keys"):
                await injector.inject(ticket())
        finally:
            os.kill(program, signal.SIGCONT)
        pane.wait_shown("half a line")
        await wait_reason(injector, "not empty")

    run(scenario())
    assert pane.messages() == []
