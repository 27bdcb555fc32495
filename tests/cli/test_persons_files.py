"""`demo`, `bench`, the example and the tests read no rc file of the user, and change no file.

HOME in these tests has long histories, and rc files that leave a trace.
"""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import pytest
from running import ROOT, environment, wait_until

from bridge.sandbox import private

LONG = 120.0  # seconds for a command that starts others, on a loaded machine
ROWS = 3000  # more than the 500 that bash keeps unless it is told otherwise
BASH_RC = (".bashrc", ".bash_profile", ".bash_login", ".profile", ".bash_logout")
ZSH_RC = (".zshenv", ".zshrc", ".zprofile", ".zlogin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Home:
    """A home folder with long histories, and with rc files that leave a trace when read."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.traces = folder / "home", folder / "traces"
        self.traces.mkdir()
        for name in (*BASH_RC, *ZSH_RC, ".config/fish/config.fish", ".config/fish/conf.d/a.fish"):
            self.write(name, f"touch {self.trace(name)}\n")
        for path in (".tmux.conf", ".config/tmux/tmux.conf"):
            self.write(path, f"run-shell 'touch {self.trace(path)}'\n")
        for name in (".bash_history", ".zsh_history", ".python_history"):
            self.write(name, "".join(f"echo line-{number}\n" for number in range(ROWS)))
        self.write(
            ".local/share/fish/fish_history",
            "".join(f"- cmd: echo line-{number}\n  when: 1700000000\n" for number in range(ROWS)),
        )
        self.write(".inputrc", 'set editing-mode vi\n"a": "b"\n')

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def trace(self, name: str) -> pathlib.Path:
        return self.traces / name.replace("/", "-")

    def seen(self) -> dict[str, object]:
        """Every file and folder: its bytes and its modification time."""
        return {
            str(path): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
            for path in self.folder.rglob("*")
        }

    def variables(self, shell: str) -> dict[str, str]:
        """The environment of a user with many variables that name files."""
        home = str(self.folder)
        named = {
            "HISTFILE": f"{home}/.{shell}_history",
            "BASH_ENV": f"{home}/.bashrc",
            "ENV": f"{home}/.profile",
            "ZDOTDIR": home,
            "INPUTRC": f"{home}/.inputrc",
        }
        roots = {
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_CACHE_HOME": f"{home}/.cache",
        }
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        return {
            **environment(),
            **named,
            **roots,
            "HOME": home,
            "SHELL": f"/bin/{shell}",
            "PATH": path,
            "PROMPT_COMMAND": "history -a",
        }


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    before = made.seen()
    yield made
    changed = {path: found for path, found in made.seen().items() if before.get(path) != found}
    assert not changed and set(made.seen()) == set(before), sorted(changed)
    assert os.listdir(made.traces) == [], "an rc file was read"


REPRESENTATIVE = (
    "tests/cli/test_hostile_folder.py::"
    "test_the_ticket_is_shown_and_nothing_of_the_panes_folder_runs[checkout]"
)
COMMANDS = [  # the command, and the user's shell
    (["-m", "bridge", "demo"], "bash"),
    (["-m", "bridge", "demo"], "zsh"),
    (["-m", "bridge", "demo"], "fish"),
    (
        ["-m", "bridge", "bench", "--quick", "--agents", "1", "--tickets", "1", "--ways", "sse"],
        "bash",
    ),
    (["-m", "pytest", "-q", "-p", "no:cacheprovider", REPRESENTATIVE], "bash"),
]


@pytest.mark.parametrize(
    "words, shell", COMMANDS, ids=[f"{words[1]}-{words[2]}-{shell}" for words, shell in COMMANDS]
)
def test_no_file_of_the_user_is_read_or_changed(home, tmp_path, words, shell):
    inner = [f"--basetemp={tmp_path / 'inner'}"] if "pytest" in words else []
    ended = subprocess.run(
        [sys.executable, *words, *inner],
        cwd=ROOT,
        env=home.variables(shell),
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"


def test_the_example_reads_and_changes_no_file_of_the_user(home, tmp_path):
    (tmp_path / "tmp").mkdir()
    sockets = {"TMUX_TMPDIR": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}
    variables = {**home.variables("bash"), **sockets, "BRIDGE_PORT": str(free_port())}

    def shown() -> str:
        panes = (
            subprocess.run(
                ["tmux", "-L", "bridge-example", "capture-pane", "-p", "-t", f"team:0.{index}"],
                env=variables,
                capture_output=True,
                text=True,
                timeout=20,
            )
            for index in (0, 1)
        )
        return "".join(pane.stdout for pane in panes)

    with subprocess.Popen(
        ["sh", "examples/two-agents.sh"],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as example:
        try:
            wait_until(
                lambda: all(f"\nhello {agent}" in shown() for agent in ("ann", "bob")),
                "both tickets",
                LONG,
            )
        finally:
            said = example.communicate("", timeout=LONG)
    assert example.returncode == 0, said
    assert os.listdir(tmp_path / "tmp") == [], "a file was left behind"


def test_a_private_environment_has_no_variable_that_names_a_file_of_the_user():
    given = private(
        {
            "PATH": "/bin",
            "LANG": "C.UTF-8",
            "PYENV_ROOT": "/pyenv",
            "HISTFILE": "/h",
            "BASH_FUNC_x%%": "() { :; }",
            "XDG_DATA_HOME": "/d",
            "SHELL": "/bin/fish",
        },
        "/mine",
    )
    assert given == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "PYENV_ROOT": "/pyenv",
        "HOME": "/mine",
        "HISTFILE": "",
        "SHELL": "/bin/sh",
    }
