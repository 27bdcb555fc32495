"""The unit files, run as by systemd: their command, only their environment, on their socket."""

from __future__ import annotations

import contextlib
import os
import plistlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from raw_http import PATIENCE, Line
from running import ROOT, wait_until
from service import ACTIVATE, Manager, listener

UNITS = ROOT / "examples" / "systemd"
NAMES = sorted(path.name for path in UNITS.iterdir())


def entries(name: str, **specifiers: str) -> dict[str, list[str]]:
    """Each key of a unit with its values. Specifiers such as %S are replaced, as by systemd."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            for letter, text in specifiers.items():
                value = value.replace(f"%{letter}", str(text))
            found.setdefault(key, []).append(value)
    return found


def printed(name: str) -> str:
    """The text that the comment's printf writes into a file."""
    return (
        (UNITS / name).read_text().partition("printf '")[2].partition("'")[0].replace("\\n", "\n")
    )


def command(unit: dict[str, list[str]], program: str, **variables: str) -> list[str]:
    """ExecStart, with this Python and this bridge.pyz."""
    words = [
        variables.get(word.strip("${}"), word) if word.startswith("$") else word
        for word in unit["ExecStart"][0].split()
    ]
    assert words[0] == "/usr/bin/python3" and words[1].endswith("/bridge.pyz")
    return [sys.executable, program, *words[2:]]


@contextlib.contextmanager
def service(unit, words, manager, passed=(), **variables):
    """The service's process, from READY=1 to its end by SIGTERM, without our environment."""
    seconds = int(unit["WatchdogSec"][0])
    given = {
        "PATH": os.environ["PATH"],
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": str(seconds * 1_000_000),
        **variables,
    }
    given.update(pair.split("=", 1) for pair in unit["Environment"])
    if passed:
        given["LISTEN_FDS"] = str(len(passed))
    numbers = [each.fileno() for each in passed]
    activated = [sys.executable, "-c", ACTIVATE, ",".join(map(str, numbers)), *words]
    with subprocess.Popen(
        activated,
        env=given,
        cwd="/",
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.extend(process.stderr))
        reader.start()
        try:
            assert manager.hear()[0] == "READY=1", said
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE)
            reader.join(PATIENCE)
        manager.hear_until("STOPPING=1")
        assert status == 0 and "Traceback" not in "".join(said), said


def test_the_broker_on_the_socket_of_its_unit(program, tmp_path):
    unit, sockets = entries("bridge-broker.service", S=tmp_path), entries("bridge-broker.socket")
    host, _, port = sockets["ListenStream"][0].rpartition(":")
    assert (host, port) == ("127.0.0.1", "5050"), "the default of every client"
    (tmp_path / unit["StateDirectory"][0]).mkdir(mode=int(unit["StateDirectoryMode"][0], 8))
    with Manager(str(tmp_path / "notify")) as manager, listener((host, 0)) as passed:
        with service(unit, command(unit, program), manager, [passed]):
            with Line(passed.getsockname()[1]) as line:
                assert line.ask("POST", "/agents/lucy/send", {"payload": 1}).status == 202
    assert (tmp_path / "bridge" / "bridge.db").stat().st_mode & 0o777 == 0o600


def test_a_watcher_with_the_file_that_its_comment_writes(program, tmp_path):
    made = printed("bridge-watch@.service").split()
    unit = entries("bridge-watch@.service", h=tmp_path, i="lucy")
    variables = dict(pair.split("=") for pair in made)
    words = command(unit, program, **variables)
    assert words[2:] == ["watch", "lucy", "dev-lucy", "0"] and unit["EnvironmentFile"] == [
        f"{tmp_path}/.config/bridge/lucy.env"
    ]
    with Manager(str(tmp_path / "notify")) as manager:
        with service(
            unit,
            words,
            manager,
            HOME=str(tmp_path),
            TMUX_TMPDIR=str(tmp_path),
            BRIDGE_BROKER_URL="http://127.0.0.1:9",
            **variables,
        ):
            pass
        assert "STATUS=watching for lucy at http://127.0.0.1:9" in manager.said[0]


def test_a_supervisor_with_the_file_that_its_comment_writes(program, tmp_path):
    unit = entries("bridge-supervise.service", h=tmp_path)
    (tmp_path / ".config" / "bridge").mkdir(parents=True)
    (tmp_path / ".config" / "bridge" / "agents.json").write_text(
        printed("bridge-supervise.service")
    )
    with Manager(str(tmp_path / "notify")) as manager:
        with service(
            unit,
            command(unit, program),
            manager,
            HOME=str(tmp_path),
            TMUX_TMPDIR=str(tmp_path),
            BRIDGE_BROKER_URL="http://127.0.0.1:9",
        ) as said:
            wait_until(
                lambda: all(
                    f"watching agent={name} session=dev-{name} pane=0" in "".join(said)
                    for name in ("lucy", "bob")
                ),
                "both agents",
            )
        assert "STATUS=supervising as " in manager.said[0] and manager.said[0].endswith(
            "at http://127.0.0.1:9"
        )


@pytest.mark.parametrize("name", NAMES)
def test_systemd_analyze_finds_no_fault(name, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for each in NAMES:
        (tmp_path / each).write_text(
            (UNITS / each).read_text().replace("/usr/bin/python3", sys.executable)
        )
    of_a_user = [] if name.startswith("bridge-broker") else ["--user"]
    checked = subprocess.run(
        ["systemd-analyze", *of_a_user, "verify", str(tmp_path / name)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    # Units of the machine may have faults of their own.
    faults = [line for line in checked.stderr.splitlines() if "bridge-" in line]
    assert checked.returncode == 0 and not faults, checked.stderr


def test_the_property_list_is_sound_and_its_command_starts_a_broker(program, tmp_path):
    wanted = plistlib.loads((ROOT / "examples" / "launchd" / "bridge-broker.plist").read_bytes())
    words = wanted["ProgramArguments"]
    given = {
        **wanted["EnvironmentVariables"],
        "BRIDGE_DB": ":memory:",
        "BRIDGE_PORT": "0",
        "PATH": os.environ["PATH"],
    }
    with subprocess.Popen(
        [sys.executable, program, *words[2:]], env=given, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "ready on" in process.stderr.readline()
        process.terminate()
        assert process.wait(PATIENCE) == 0
