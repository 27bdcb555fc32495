"""Shells and REPLs in a real tmux get one constant command, which no body can change."""

from __future__ import annotations

import asyncio

import pytest
from panes import deliver, run, ticket, until, wait_reason

from bridge.errors import PaneNotReady
from bridge.settings import TmuxSettings

SHELLS = {
    "bash": "bash --norc --noprofile",
    "bash-login-prompt": "env PS1='\\u@\\h:\\w\\$ ' bash --norc --noprofile",
    "bash-wide-prompt": "env PS1='日本 é \\$ ' bash --norc --noprofile",
    "bash-two-lines": "env PS1='┌ \\w\\n└ ❯ ' bash --norc --noprofile",
    "bash-vi": "bash --norc --noprofile -o vi",
    "zsh": "zsh -f",
    "zsh-rprompt": "env PS1='%m%# ' RPROMPT='12:34 main' zsh -f",
    "zsh-robbyrussell": "env 'PS1=➜  ~ ' zsh -f",
    "fish": "fish --no-config",
    "dash": "dash",
}
# Bodies that some shell would execute if they were typed in any form.
HOSTILE = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "hi\ntouch PWNED\n",
    "hi\rtouch PWNED\r",
    "x\x1b[201~\ntouch PWNED\n",
    "x\x03touch PWNED\n",
    "'; touch PWNED; '",
    "\\'; touch PWNED #",
    "EOF\ntouch PWNED\nMSG_T-1\ntouch PWNED\n",
    "x; touch PWNED",
    "\x9b201~\ntouch PWNED\n",
]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_the_constant_command_and_runs_it_once(server, shell):
    pane = server.open(SHELLS[shell])
    for number in range(2):
        given = run(deliver(pane.injector(), ticket(HOSTILE[number], f"{shell}-{number}")))
        assert given.form == "shell" and given.verified
        pane.wait_shown(f"python3 -m bridge show {shell}-{number}")
    assert not (server.folder / "PWNED").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash"])
def test_no_hostile_body_is_executed(server, shell, tmp_path):
    settings = TmuxSettings(
        poll_min=20, poll_max=60, cool_down=0, shell_command=f"echo {{id}} >> {tmp_path}/shown"
    )
    pane = server.open(SHELLS[shell])

    async def scenario():
        injector = pane.injector(settings=settings)
        for number, body in enumerate(HOSTILE):
            await deliver(injector, ticket(body, f"T-{number}"))

    run(scenario())
    shown = tmp_path / "shown"
    until(
        lambda: shown.exists() and len(shown.read_text().split()) >= len(HOSTILE),
        "every command has run",
    )
    assert shown.read_text().split() == [f"T-{number}" for number in range(len(HOSTILE))]
    assert not (server.folder / "PWNED").exists()


@pytest.mark.parametrize(
    "ticket_id", ["a b", "$(touch PWNED)", "'", "-rf", "ünï", "x" * 65, "#{pid}", "a,b}c"]
)
def test_an_id_with_special_characters_is_sent_as_base64(server, ticket_id):
    pane = server.open(SHELLS["bash"])
    run(deliver(pane.injector(), ticket(ticket_id=ticket_id)))
    pane.wait_shown("python3 -m bridge show --id64 ")
    assert not (server.folder / "PWNED").exists()

    async def again():  # the mark of such an id must be found
        return await pane.injector().inject(ticket(ticket_id=ticket_id))

    run(again())
    assert pane.screen().count("--id64") == 1


@pytest.mark.parametrize("command", ["python3 -q", "python3 -q -X dev", "node", "node -r fs"])
def test_a_repl_gets_the_command_in_its_own_language(server, command, tmp_path):
    settings = TmuxSettings(
        poll_min=20, poll_max=60, cool_down=0, shell_command=f"echo ran-{{id}} >> {tmp_path}/shown"
    )
    pane = server.open(command)
    given = run(
        deliver(pane.injector(settings=settings), ticket("import os; os.system('touch PWNED')"))
    )
    assert given.form == "repl"
    until(lambda: (tmp_path / "shown").exists(), "the command has run")
    assert (tmp_path / "shown").read_text() == "ran-T-1\n"
    assert not (server.folder / "PWNED").exists()


LINE_EDITORS = {
    "repl.js": "require('repl').start('> ')",
    "lines.js": (
        "require('readline')"
        ".createInterface({input: process.stdin, output: process.stdout, prompt: '> '})"
        ".on('line', line => require('child_process').execSync(line)).prompt()"
    ),
}


@pytest.mark.parametrize("script", LINE_EDITORS)
def test_no_text_is_typed_into_a_line_editor_that_may_execute_it(server, script):
    """Node's line editor uses raw mode, as an agent's composer does."""
    (server.folder / script).write_text(LINE_EDITORS[script])
    pane = server.open(f"node {script}")
    pane.wait_shown(">")
    before = pane.screen()

    async def scenario():
        await wait_reason(pane.injector(), "may execute")
        with pytest.raises(PaneNotReady, match="may execute"):
            await pane.injector().inject(
                ticket("require('fs').writeFileSync('PWNED', '')", origin="`touch PWNED`")
            )

    run(scenario())
    assert pane.screen() == before and not (server.folder / "PWNED").exists()


@pytest.mark.parametrize(
    ("command", "keys", "reason"),
    [
        ("bash --norc", ["echo half", ""], "not empty"),
        ("bash --norc", ["echo 'unfinished", "Enter"], "continuation"),
        ("zsh -f", ["echo 'unfinished", "Enter"], "continuation"),
        ("zsh -f", ["for x in 1 2", "Enter"], "continuation"),
        ("fish --no-config", ["echo half", ""], "not empty"),
        ("fish --no-config", ["for x in 1 2", "Enter"], ""),
        ("dash", ["echo 'unfinished", "Enter"], "continuation"),
        ("dash", ["echo half", ""], "not empty"),
        ("python3 -q", ["if 1:", "Enter"], "continuation"),
        ("python3 -q", ["1 + ", ""], "not at an empty prompt"),
        ("node", ["if (1) {", "Enter"], "continuation"),
        ("node", ["1 + ", ""], "not at an empty prompt"),
        ("bash --norc", ["echo moved", "C-a"], "right of the cursor"),
        ("bash --norc", ["C-r", ""], ""),
        ("bash --norc", ["cat foo > ", ""], "not empty"),
    ],
)
def test_an_unfinished_line_is_not_ready(server, command, keys, reason):
    pane = server.open(command)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type(keys[0]) if not keys[0].startswith("C-") else pane.keys(keys[0])
        if keys[1]:
            pane.keys(keys[1])
        before = until(
            lambda: pane.screen() if pane.get("cursor_x") != "0" else "", "the echo of the keys"
        )
        await wait_reason(injector, reason)
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())
        return before

    run(scenario())
    assert "bridge show" not in pane.screen()


def test_a_right_prompt_of_zsh_is_not_a_persons_text(server):
    pane = server.open(SHELLS["zsh-rprompt"])

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("echo half")
        pane.wait_shown("echo half")
        await wait_reason(injector, "not empty")
        pane.keys("C-u")
        return await deliver(injector, ticket())

    assert run(scenario()).verified


def test_a_ticket_waits_until_an_unfinished_line_is_entered(server):
    """A person types half a line, later finishes and enters it, and then the ticket follows."""
    pane = server.open(SHELLS["bash"])

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("echo mine-")
        await wait_reason(injector, "not empty")
        pane.type("is-whole")
        pane.keys("Enter")
        return await deliver(injector, ticket())

    run(scenario())
    pane.wait_shown("show T-1")
    assert "\nmine-is-whole" in pane.screen()


def test_an_unusual_prompt_is_ready_with_the_users_pattern(server):
    pane = server.open("env PS1='[#1] go: ' bash --norc --noprofile")

    async def scenario():
        await wait_reason(pane.injector(), "unusual")
        settings = TmuxSettings(poll_min=20, poll_max=60, ready_pattern=r"\] go: $")
        return await deliver(pane.injector(settings=settings), ticket())

    assert run(scenario()).form == "shell"


def test_an_unusual_prompt_is_learned_after_two_commands(server):
    pane = server.open("env PS1='[#1] go) ' bash --norc --noprofile")

    async def scenario():
        injector = pane.injector()
        await wait_reason(injector, "unusual")
        for number in range(2):
            pane.type(f"sleep 0.5; echo done-$(({number} + 7))")
            pane.keys("Enter")
            await wait_reason(injector, "running")
            # Look repeatedly, as a watcher does: a prompt is learned only after a short time.
            shown_since = None
            while shown_since is None or asyncio.get_running_loop().time() - shown_since < 0.6:
                await injector.explain()
                if shown_since is None and f"done-{number + 7}" in pane.screen():
                    shown_since = asyncio.get_running_loop().time()
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"


def test_the_marker_of_the_push_design_is_a_prompt(server):
    pane = server.open("env PS1='[#1] ##BRIDGE-READY## ' bash --norc --noprofile")
    assert run(deliver(pane.injector(), ticket())).form == "shell"


@pytest.mark.parametrize(
    "wrapper", ["sh -c 'python3 -q; sleep 1'", "bash -c 'bash --norc; sleep 1'"]
)
def test_a_program_that_runs_below_a_shell_command_is_recognized(server, wrapper):
    pane = server.open(wrapper)
    assert run(deliver(pane.injector(), ticket())).form in ("repl", "shell")
