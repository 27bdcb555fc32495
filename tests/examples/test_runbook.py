"""Every command of examples/RUNBOOK.md runs as written, with a `systemctl` of this test."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from dataclasses import fields

import pytest
from proxies.conftest import free_port
from raw_http import PATIENCE
from running import ROOT, Broker, environment, package_launcher

from bridge import settings
from bridge.broker.metrics import definitions
from bridge.broker.metrics.exposition import Family
from bridge.cli.main import COMMANDS

GUIDES = {name: (ROOT / "examples" / name).read_text() for name in ("RUNBOOK.md", "MIGRATION.md")}
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", GUIDES["RUNBOOK.md"], re.MULTILINE | re.DOTALL)
END = 180.0  # seconds for all of them on a loaded machine


class Systemd:
    """Does what the runbook's `systemctl` asks for, in a thread, through two named pipes."""

    def __init__(self, folder, broker: Broker) -> None:
        self.broker, self.asked, self.errors = broker, [], []
        self._request, self._answer = folder / "request", folder / "answer"
        os.mkfifo(self._request)
        os.mkfifo(self._answer)
        script(
            folder / "systemctl",
            f'echo "$@" > {self._request}; read done < {self._answer}; test "$done" = ok',
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            words = self._request.read_text().split()
            if not words:
                return
            self.asked.append(words[0])
            try:
                if words[0] in ("stop", "restart"):
                    self.broker.stop()
                if words[0] in ("start", "restart"):
                    self.broker.start()
            except AssertionError as error:
                self.errors.append(error)
            self._answer.write_text("ok\n" if not self.errors else "failed\n")

    def close(self) -> None:
        self._request.write_text("")
        self._thread.join(PATIENCE)


def script(path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_every_command_works_as_written(tmp_path):
    missing = [name for name in ("bash", "curl", "sqlite3", "tmux") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    programs, copies, port = tmp_path / "bin", tmp_path / "copies", free_port()
    programs.mkdir()
    copies.mkdir()
    script(programs / "python3", f'exec {shlex.quote(sys.executable)} "$@"')
    script(programs / "journalctl", 'echo "$@"')
    commands = (
        "\n".join(BLOCKS)
        .replace(":5050", f":{port}")
        .replace("DB=/var/lib/bridge/bridge.db", f"DB={tmp_path}/bridge.db")
        .replace("COPIES=/var/backups", f"COPIES={copies}")
    )
    given = {
        **environment(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TMUX_TMPDIR": str(tmp_path),
    }
    with Broker(package_launcher(), tmp_path / "bridge.db", flags=["--port", str(port)]) as broker:
        broker.register("lucy")
        waiting = [broker.send("lucy", number) for number in range(2)]
        systemd = Systemd(programs, broker)
        try:
            done = subprocess.run(
                ["bash", "-ex", "-c", commands],
                cwd=ROOT,
                env=given,
                capture_output=True,
                text=True,
                timeout=END,
            )
        finally:
            systemd.close()
        assert done.returncode == 0 and not systemd.errors, (
            f"{systemd.errors}\n{done.stderr}\n{done.stdout[-2000:]}"
        )
        assert systemd.asked.count("stop") >= 4 and systemd.asked[-1] == "restart"
        assert [ticket["ticketId"] for ticket in broker.pending("lucy")] == waiting[1:], (
            "the first was acknowledged by hand, in the restored store"
        )
    copied = sorted(path.name for path in copies.iterdir())
    assert (
        "recovered.db" in copied
        and "moving.db" in copied
        and all(path.stat().st_mode & 0o077 == 0 for path in copies.glob("bridge-2*.db"))
    )
    assert done.stdout.count("sound, version") == 3, "the store, its backup, the recovered store"
    with Broker(package_launcher(), copies / "recovered.db") as broker:
        assert [ticket["ticketId"] for ticket in broker.pending("lucy")] == waiting[1:]


def test_every_alert_leads_to_a_symptom():
    alerts = re.findall(
        r"^ *- alert: (\w+)$", (ROOT / "examples" / "bridge-alerts.yml").read_text(), re.MULTILINE
    )
    assert alerts and set(alerts) == set(re.findall(r"\bBridge[A-Z]\w+", GUIDES["RUNBOOK.md"]))


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_names_only_what_exists(name):
    """It names commands, settings, metrics and files."""
    known = {
        variable
        for cls in vars(settings).values()
        if isinstance(cls, type) and cls.__module__.startswith(settings.__name__ + ".")
        for entry in fields(cls)
        for variable in entry.metadata["env"]
    }
    text = GUIDES[name]
    assert set(re.findall(r"python3 -m bridge ([a-z]+)", text)) <= set(COMMANDS)
    assert set(re.findall(r"`((?:BRIDGE|BROKER)_[A-Z_]+)[=`]", text)) <= known
    families = {family.name for family in vars(definitions).values() if isinstance(family, Family)}
    shown = families | {
        f"{name}_{part}" for name in families for part in ("bucket", "count", "sum")
    }
    assert set(re.findall(r"`((?:bridge|process)_[a-z_]+)`", text)) <= shown
    assert all(
        (ROOT / path).exists() for path in re.findall(r"`((?:examples|tests)/[\w./-]+)`", text)
    )
