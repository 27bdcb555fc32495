"""A person's half line is left alone in a real pane, however it looks: wrapped, scrolled, in several rows, under other output."""

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
LOOKS = 12  # in a row that must all say no: a prompt is drawn in pieces


async def refused(pane, injector, typed: str) -> None:
    """Nothing is typed, look after look, and the person's words stand there as they were."""
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
    until(lambda: (pane.get("cursor_x"), pane.get("cursor_y")) != (x, y), "the keys have come")
    seen = [""]

    def still() -> bool:
        now = pane.screen() + pane.get("cursor_x")
        seen.append(now)
        return seen[-1] == seen[-2]

    until(still, "the screen stands still")


@pytest.mark.parametrize("shell", [BASH, ZSH, FISH])
@pytest.mark.parametrize("tail", ["bbbb % ", "> ", "$ ", "x@y:~# ", "% "])
def test_a_line_that_wraps_is_a_line(server, shell, tail):
    """C1: the second row alone looks like an empty prompt."""
    pane = server.open(shell, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        left = 60 - int(pane.get("cursor_x"))
        type_and_see(pane, "echo " + "a" * (left - 5) + tail)
        await refused(pane, injector, tail)

    run(scenario())


@pytest.mark.parametrize("shell", [BASH, ZSH])
def test_a_line_whose_first_row_ends_in_a_blank_is_a_line(server, shell):
    pane = server.open(shell, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        left = 60 - int(pane.get("cursor_x"))
        type_and_see(pane, "echo " + "a" * (left - 8) + "   " + "bb/ % ")
        await refused(pane, injector, "blanks at the edge")
        pane.keys("C-a")
        until(lambda: pane.get("cursor_y") == "0", "the cursor at the line's start")
        pane.keys("C-e")  # an editor may go down by a line feed, and the row is broken there still
        until(lambda: pane.get("cursor_y") == "1", "the cursor at its end")
        await refused(pane, injector, "blanks at the edge, after a move")

    run(scenario())


def test_a_pane_of_one_row_scrolls_its_line_sideways(server):
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
def test_a_line_of_several_rows_is_a_line(server, name):
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
def test_a_question_is_no_prompt(server, name):
    """H1: the command would become the answer."""
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
    """H1, r07: a prompt is learned from the ends of commands, and a question ends one, too."""
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
def test_output_over_a_half_line_makes_no_prompt_of_it(server, noise):
    """H3: once a prompt is known, only what looks like it is one."""
    pane = server.open(f"env PS1='user@host:$ ' {BASH}")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        await deliver(injector, ticket(ticket_id="T-0"))
        injector.note_ran()  # `show` has said so
        until(lambda: pane.screen().rstrip().endswith("user@host:$"), "the prompt is back")
        for _ in range(8):
            await injector.explain()
            await asyncio.sleep(0.1)
        pane.type(f"(sleep 0.7; printf '{noise.replace('%', '%%')}') & ")
        pane.keys("Enter")
        pane.type("touch ran; : ")
        until(
            lambda: noise.replace("\\n", "\n").rstrip() in pane.screen(),
            "the noise, in a row of its own",
        )
        await refused(pane, injector, noise)

    run(scenario())
    assert not (server.folder / "ran").exists()


@pytest.mark.parametrize(
    "keys",
    [["Escape"], ["echo DONE >> DEPLOYS", "Enter", "echo x", "Escape", "d", "d"]],
    ids=["escape", "cleared"],
)
def test_a_shell_in_vi_mode_runs_nothing_that_a_paste_became(server, keys):
    """C5: bash takes a paste as vi's commands, and Enter would run what they made of an older line."""
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


def test_blanks_that_were_wiped_make_no_line(server):
    """Found by the soak: a row that had held a long line kept its blanks, and the pane got nothing for ever."""
    pane = server.open(BASH, width=60)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("printf 'x%59s\\n' ''")
        pane.keys("Enter")
        until(lambda: pane.get("cursor_y") == "2", "the row of blanks")
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"


def test_keys_that_the_program_has_not_read_are_a_line(server):
    """Found with aider, which was at work for two seconds and showed nothing of what had been typed."""
    words = shlex.join(
        [sys.executable, str(AGENTS / "agent.py"), "--log", str(server.folder / "unread")]
    )
    pane = server.open(
        shlex.join(["sh", "-c", words + "; :"])
    )  # tmux wakes its own child when that is stopped
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
