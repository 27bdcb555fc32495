"""A typed command runs this program, with any files in the pane's folder and any environment.

Tested for each way to run bridge: a checkout, the one-file program, an installed package.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import venv

import pytest
from panes import Server
from running import ROOT, environment, new_name, stages, wait_until

from cli.conftest import Program, Running

NAMES = ("bridge", "json", "argparse", "asyncio", "sitecustomize", "usercustomize", "startup")
# No single quote and no backslash: those are refused.
ODD = 'a b $(touch pwned) `touch pwned` !! "x" ;#~*[é]'


class Trap:
    """A folder and an environment in which a plain `python3 -m bridge` runs a foreign file."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.traces = folder / "project", folder / "traces"
        self.traces.mkdir()
        (self.folder / "bridge").mkdir(parents=True)
        for path in (*(f"{name}.py" for name in NAMES), "bridge/__init__.py", "bridge/__main__.py"):
            (self.folder / path).write_text(
                f"open({str(self.traces / path.replace('/', '-'))!r}, 'w').close()\n"
            )
        self.variables = {
            "PYTHONPATH": str(self.folder),
            "PYTHONSTARTUP": str(self.folder / "startup.py"),
            "PYTHONHOME": "/nowhere",
        }
        self.variables.update(PYTHONINSPECT="1", PYTHONUSERBASE=str(self.folder))

    def spring(self) -> None:
        """Check that the trap works: `-m` runs the foreign files."""
        without = {**environment(), **self.variables, "PYTHONHOME": "", "PYTHONINSPECT": ""}
        subprocess.run(
            [sys.executable, "-m", "bridge", "show", "T-1"],
            cwd=self.folder,
            env=without,
            capture_output=True,
            timeout=30,
        )
        assert {"bridge-__main__.py", "sitecustomize.py"} <= set(os.listdir(self.traces))
        for path in self.traces.iterdir():
            path.unlink()

    def is_unsprung(self) -> bool:
        return not os.listdir(self.traces) and not list(self.folder.rglob("pwned"))


@pytest.fixture
def trap(tmp_path):
    made = Trap(tmp_path)
    made.spring()
    return made


@pytest.fixture
def panes(trap):
    server = Server(trap.folder)
    yield server
    server.stop()


def checkout(folder: pathlib.Path, program: str) -> tuple[list[str], pathlib.Path]:
    return [sys.executable, "-m", "bridge"], ROOT / "bridge"


def archive(folder: pathlib.Path, program: str) -> tuple[list[str], pathlib.Path]:
    return [sys.executable, program], pathlib.Path(program)


def installed(folder: pathlib.Path, program: str) -> tuple[list[str], pathlib.Path]:
    """As a wheel lays it into a virtual environment: the package, and a script that calls `run`."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    (site,) = folder.glob("venv/lib/python*/site-packages")
    shutil.copytree(ROOT / "bridge", site / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    script = folder / "venv" / "bin" / "bridge"
    script.write_text(f"#!{python}\nimport sys\nfrom bridge.__main__ import run\nsys.exit(run())\n")
    script.chmod(0o755)
    return [str(script)], site / "bridge"


@pytest.mark.parametrize("way", [checkout, archive, installed])
def test_the_ticket_is_shown_and_nothing_of_the_panes_folder_runs(
    served, trap, panes, program, tmp_path, way
):
    agent, (launcher, path) = new_name(), way(tmp_path, program)
    assignments = [f"{name}={value}" for name, value in trap.variables.items()]
    pane = panes.open(
        shlex.join(["env", "PS1=$ ", *assignments, "bash", "--norc", "--noprofile"]), width=150
    )
    pane.wait_shown("$")
    mine = Program(served.url, PYTHONPATH="")
    with Running(
        mine, [*launcher, "watch", agent, pane.session, "0", "-L", panes.name], {}
    ) as watch:
        ticket = served.send(agent, "the body of it", ticketId=f"T-{agent}")
        wait_until(
            lambda: served.ticket(ticket)["status"] == "delivered",
            f"the ticket: {watch.said}, {pane.screen()}",
        )
        pane.wait_shown("the body of it")
    screen = pane.screen()
    assert f" -I {path} show {ticket} --broker-url {served.url}" in screen
    answer = (
        next(line for line in screen.split("\n") if line.startswith("answer"))
        .partition(" ")[2]
        .strip()
    )
    assert answer.startswith(screen.partition(f" {path} show ")[0].rpartition("$ ")[2])
    assert trap.is_unsprung(), os.listdir(trap.traces)
    # The command for an agent's answer is safe in the same folder too.
    ended = subprocess.run(
        ["sh", "-c", answer],
        cwd=trap.folder,
        env={**environment(), **trap.variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0 and "replied" in stages(served.ticket(ticket)), (answer, ended)
    assert trap.is_unsprung(), os.listdir(trap.traces)


@pytest.mark.parametrize(
    "shell",
    [
        "env 'PS1=$ ' bash --norc --noprofile",
        "env 'PS1=$ ' zsh -f",
        "fish --no-config --private",
        "env 'PS1=$ ' dash",
    ],
)
def test_a_path_with_special_characters_is_quoted_for_every_shell(
    served, trap, panes, tmp_path, shell
):
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / "bridge").symlink_to(ROOT / "bridge")
    agent, pane = new_name(), panes.open(shell, width=200)
    words = [
        sys.executable,
        str(tmp_path / ODD / "bridge"),
        "watch",
        agent,
        pane.session,
        "0",
        "-L",
        panes.name,
    ]
    with Running(Program(served.url, PYTHONPATH=""), words, {}) as watch:
        ticket = served.send(agent, "the body of it")
        wait_until(
            lambda: served.ticket(ticket)["status"] == "delivered",
            f"the ticket: {watch.said}, {pane.screen()}",
        )
        pane.wait_shown("the body of it")
    assert f"'{tmp_path}/{ODD}/bridge' show {ticket}" in pane.screen() and trap.is_unsprung()


def test_a_path_that_cannot_be_quoted_is_an_error_that_names_the_flag(served, tmp_path):
    (tmp_path / "o'brien").mkdir()
    (tmp_path / "o'brien" / "bridge").symlink_to(ROOT / "bridge")
    ticket = served.send(new_name(), "hello")

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        given = environment(BRIDGE_BROKER_URL=served.url, PYTHONPATH="", **settings)
        return subprocess.run(
            [sys.executable, str(tmp_path / "o'brien" / "bridge"), *words],
            cwd="/",
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    for words in (
        ["watch", "lucy", "no-such", "0"],
        ["supervise", "lucy=no-such:0"],
        ["explain", "no-such", "0"],
    ):
        refused = run(*words)
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused
        assert "o'brien" in refused.stderr and "--shell-command" in refused.stderr
    assert (
        run(
            "explain", "no-such", "0", "-L", "bridge-no-such", BRIDGE_SHELL_COMMAND="mine {id}"
        ).returncode
        == 8
    )
    checked = run("doctor", "-L", "bridge-no-such").stdout
    assert "o'brien" in checked and "--shell-command" in checked
    shown = run("show", ticket)  # the user's own command may run it
    answer = (
        next(line for line in shown.stdout.splitlines() if line.startswith("answer"))
        .partition(" ")[2]
        .strip()
    )
    assert (
        subprocess.run(
            ["sh", "-c", answer], cwd="/", env=environment(PYTHONPATH=""), timeout=30
        ).returncode
        == 0
    )
