"""Processes of a test: the watcher, an agent's process group, and what an agent leaves behind."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess

from panes import PaneHandle
from running import ROOT, environment, package_launcher

SETTINGS = {"BRIDGE_EXPLAIN_AFTER": 400, "BRIDGE_INJECT_RATE": 0}


class Watcher:
    """A `watch` process and its log."""

    def __init__(self, words: list[str], log: pathlib.Path, **settings: object) -> None:
        self.log = log
        with open(log, "ab") as said:
            self.process = subprocess.Popen(
                [*package_launcher(strict=False), "watch", *words],
                cwd=ROOT,
                env=environment(**{**SETTINGS, **settings}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


def foreground(pane: PaneHandle) -> int:
    """Return the process group that reads the pane's keys."""
    words = ["ps", "-o", "tpgid=", "-p", pane.get("pane_pid")]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def end_all(folder: str) -> None:
    """Kill all processes whose environment names `folder`: Codex, for example, keeps a server."""
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            ours = folder.encode() in (place / "environ").read_bytes()
            if ours and int(place.name) != os.getpid():
                os.kill(int(place.name), signal.SIGKILL)
        except OSError:
            continue  # it has ended, or it belongs to another user
