"""An agent that a shell started may end at any moment. The shell then reads the rest of the text.

So every line of a text for such an agent begins with characters that make a shell refuse it.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import signal
import sys

import pytest
from panes import AGENTS, QUICK, deliver, run, ticket, until

from bridge.errors import BridgeError, Uncertain
from bridge.tmux.injection.pane_marks import Sent

SHELLS = {"bash": "bash --norc --noprofile", "zsh": "zsh -f", "dash": "dash"}
HOSTILE = "\n".join(
    [
        "touch PWNED",
        "$(touch PWNED)",
        "`touch PWNED`",
        "; touch PWNED",
        "&& touch PWNED",
        "touch PWNED # x",
    ]
)


def agent_below(server, shell: str, *flags: str, script: str = "agent.py"):
    """Start the scripted agent from a shell, as a person does; it uses bracketed paste."""
    pane = server.open(SHELLS[shell])
    pane.log, pane.form = server.folder / f"messages-{pane.session}", "agent"
    command = shlex.join([sys.executable, str(AGENTS / script), "--log", str(pane.log), *flags])
    until(lambda: pane.screen().strip(), "the shell's prompt")
    pane.type(command)
    pane.keys("Enter")
    until(lambda: "BRIDGE-TEST-AGENT" in pane.screen(), "the agent's banner")
    return pane


def replace_agent(pane) -> None:
    """Kill the agent that bash started, and start another one, as a person does."""
    os.kill(foreground(pane), signal.SIGKILL)
    until(lambda: pane.get("pane_current_command") == "bash", "the shell is back")
    pane.keys("C-c")
    pane.type(
        f"clear; {shlex.join([sys.executable, str(AGENTS / 'agent.py'), '--log', str(pane.log)])}"
    )
    pane.keys("Enter")
    until(
        lambda: pane.get("pane_current_command") != "bash" and pane.get("alternate_on") == "1",
        "the next agent",
    )


def foreground(pane) -> int:
    """Return the foreground process group of the pane (proc(5), stat, field 8)."""
    stat = pathlib.Path(f"/proc/{pane.get('pane_pid')}/stat").read_text().rpartition(")")[2].split()
    return int(stat[5])


@pytest.mark.parametrize("shell", SHELLS)
def test_no_line_of_a_text_runs_a_command_in_a_shell(server, shell):
    pane = agent_below(server, shell)
    assert run(deliver(pane.injector(), ticket(HOSTILE))).verified
    (message,) = until(pane.messages, "the message")
    lines = message.split("\n")
    assert len(lines) == 7 and all(line.startswith("| ") for line in lines)
    assert [line[2:] for line in lines[1:]] == HOSTILE.split("\n")
    # Type the same lines into a shell: none may run a command.
    below = server.open(SHELLS[shell])
    until(lambda: below.screen().strip(), "the shell's prompt")
    for line in lines:
        below.type(line)
        below.keys("Enter")
    below.type("echo through-$((6 * 7))")
    below.keys("Enter")
    below.wait_shown("through-42")
    assert not (server.folder / "PWNED").exists()


def is_still(looks: list[str]) -> bool:
    return len(looks) == 20 and len(set(looks)) == 1


@pytest.mark.parametrize("shell", SHELLS)
def test_an_agent_that_is_killed_while_it_reads_leaves_its_shell_nothing_to_run(server, shell):
    """The agent ends after it has read the start of the bracketed paste and a few lines."""
    pane = agent_below(server, shell, "--read-lines", "3", script="slow_reader.py")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        await injector.wait_ready()
        with pytest.raises(BridgeError):
            await injector.inject(
                ticket("\n".join(f"touch PWNED-{number}" for number in range(40)))
            )

    run(scenario())
    until(
        lambda: (
            "Killed" in pane.screen()
            or "killed" in pane.screen()
            or pane.get("pane_current_command") in SHELLS
        ),
        "the agent has ended",
    )
    # Ctrl-C discards what the shell has not read yet (termios(3), ISIG). In the middle of a line
    # that would cut off the characters which protect it.
    seen = [""]
    until(lambda: seen.append(pane.screen()) or is_still(seen[-20:]), "the end of the text")
    pane.keys("C-c")
    pane.type("echo through-$((6 * 7))")
    pane.keys("Enter")
    pane.wait_shown("through-42")
    assert not list(server.folder.glob("PWNED*"))


READERS = {
    "one line, then it ends": (
        "import readline; print('BRIDGE-TEST-AGENT'); print('got', input('> '))"
    ),
    "each line is a message": (
        "import readline; print('BRIDGE-TEST-AGENT')\nwhile True: print('got', input('> '))"
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_a_program_that_takes_each_line_for_a_message_gets_one_line(server, name):
    """CPython switches bracketed paste off for a program that uses readline."""
    (server.folder / "reader.py").write_text(READERS[name])
    pane = server.open(SHELLS["bash"])
    until(lambda: pane.screen().strip(), "the shell's prompt")
    pane.type(f"{sys.executable} reader.py")
    pane.keys("Enter")
    pane.wait_shown("BRIDGE-TEST-AGENT")

    async def scenario():
        injector = pane.injector(form="agent", settings=QUICK)
        await injector.wait_ready()
        try:
            await injector.inject(ticket("touch PWNED\n%%bash\ntouch PWNED"))
        except BridgeError:
            pass  # The program has ended, so the screen cannot show the result.

    run(scenario())
    until(lambda: "got" in pane.screen(), f"the message:\n{pane.screen()}")
    assert pane.screen().replace("\n", "").count("got | [bridge]") == 1 and "⏎" in pane.screen()
    pane.keys("C-c")
    assert not (server.folder / "PWNED").exists()


def test_the_senders_fields_in_the_header_mean_nothing_to_a_shell(server):
    """The header is one line of the text. Its sender chooses `replyTo` and the origin."""
    pane = agent_below(server, "bash")
    hostile = '"; touch PWNED; $(touch PWNED) `touch PWNED` | touch PWNED'
    given = ticket("hello", origin=hostile, metadata={"replyTo": hostile, "isReply": True})
    assert run(deliver(pane.injector(), given)).verified
    (message,) = until(pane.messages, "the message")
    header = message.split("\n")[0].partition(". To reply:")[0]
    assert "touch PWNED" in header and not set("`$;&|<>(){}") & set(header.removeprefix("| "))


def test_a_text_for_a_program_that_ended_goes_to_the_next_program(server):
    """The pane's own process is the shell, which lives on. The mark names the program that read."""
    pane = agent_below(server, "bash", "--swallow", "9")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        with pytest.raises(BridgeError):
            await deliver(injector, ticket("for the next one"), patience=4)
        replace_agent(pane)
        return await deliver(injector, ticket("for the next one"))

    assert run(scenario()).verified
    assert [message.rpartition("| ")[2] for message in until(pane.messages, "the message")] == [
        "for the next one"
    ]


def test_a_text_that_a_program_may_have_taken_unseen_before_it_ended_is_not_typed_again(server):
    """The soak found this: a slow agent took the text while no watcher ran.

    The next agent got the text a second time.
    """
    pane = agent_below(server, "bash", "--swallow", "9")

    async def scenario():
        injector = pane.injector(settings=QUICK)
        with pytest.raises(BridgeError):
            await deliver(injector, ticket("perhaps taken"), patience=4)
        ring = pane.get("@bridge_sent")
        seen = Sent.read(ring, "T-1").seen_ms
        server(
            "set-option",
            "-p",
            "-t",
            pane.id,
            "@bridge_sent",
            f" {ring.replace(str(seen), str(seen - 60000))} ",
        )
        replace_agent(pane)
        await injector.wait_ready()
        with pytest.raises(Uncertain, match="may have taken the text"):
            await injector.inject(ticket("perhaps taken"))

    run(scenario())
    assert pane.messages() == [] and not pane.is_shown("perhaps taken")
