"""`demo`: deliver tickets into a pane, in one command, and leave nothing behind.

    send ──► broker (temporary store) ──► watcher ──► a pane of a private tmux server
      └──────── show TICKET --json ◄── history: accepted … injected ──► the table

Rule 1: the demo runs the program's own commands, as processes, as a person would. What it
shows is what the commands do.
Rule 2: the user's settings, store, panes and tmux server are not touched (bridge/sandbox.py).

Without tmux the demo prints a note, and a watcher that prints takes the pane's place.
"""

from __future__ import annotations

import abc
import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.cli.safe_text import Page, one_line, payload_text
from bridge.errors import BridgeError
from bridge.sandbox import START_DEADLINE, Sandbox, start_broker, wait_for
from bridge.self_command import own_command

AGENT = "demo"
ARRIVAL_DEADLINE = 30.0  # seconds for one ticket to arrive
LINES_SHOWN = 80  # of the pane: its last lines

PAYLOADS: Sequence[object] = (
    "hello from the other terminal",
    "text for a shell: $(echo this would be executed); it is shown, never run",
    "three lines\narrive as\nthree lines",
    {"task": "JSON is welcome too", "files": ["a.py", "b.py"]},
    "ünïcödé ☃ as it is",
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--print",
        dest="is_print",
        action="store_true",
        help="do not use tmux: deliver to a watcher that prints",
    )


def run(args: argparse.Namespace) -> int:
    page = Page()
    has_tmux = shutil.which("tmux") is not None
    if not has_tmux:
        page.line("tmux is not installed here: a watcher that prints takes the pane's place")
    with Sandbox(AGENT) as scene, scene.action():
        stage = PaneStage(scene) if has_tmux and not args.is_print else PrintStage(scene)
        play(scene, page, stage)
    page.line(f"Stopped and removed: broker, watcher, store{stage.removed}.")
    return 0


def play(scene: Sandbox, page: Page, stage: DemoStage) -> None:
    """Start everything, send the tickets one by one, and show how each arrived."""
    _, url = start_broker(scene)
    scene.variables["BRIDGE_BROKER_URL"] = url
    page.line(f"broker   {url} with a temporary store")
    watcher = stage.open()
    page.line(f"watcher  {stage.description}")
    if (
        not wait_for(lambda: is_listening(scene) or watcher.poll() is not None, START_DEADLINE)
        or watcher.poll() is not None
    ):
        raise BridgeError(f"the demo's watcher does not listen: {scene.last_words('watch')}")
    page.line("")
    latencies = []
    for number, payload in enumerate(PAYLOADS, 1):
        ticket = send_and_wait(scene, payload)
        latencies.append(latency_ms(ticket))
        took = f"accepted → injected {latencies[-1]:5d} ms"
        page.line(f"{number}  {ticket['ticketId']}  {took}  {one_line(payload_text(payload))}")
    page.line("")
    page.line(stage.title)
    for line in stage.shown():
        page.line("  │ " + one_line(line))
    page.line("")
    arrived = f"{len(latencies)} of {len(PAYLOADS)} tickets arrived"
    page.line(f"{arrived}, median {statistics.median(latencies):.0f} ms.")


def ask(scene: Sandbox, *words: str) -> Any:
    """Run one of our commands to its end, and parse the JSON that it prints."""
    status, out, err = scene.run([*own_command(), *words])
    if status:
        raise BridgeError(f"`{words[0]}` failed: {err.strip() or status}")
    return json.loads(out)


def is_listening(scene: Sandbox) -> bool:
    connections = ask(scene, "status", "--json")["connections"]
    return bool(
        connections["sse"]["active"]
        or connections["longpoll"]["waiting"]
        or connections["polling"]["active"]
    )


def send_and_wait(scene: Sandbox, payload: object) -> Mapping[str, Any]:
    """Send one ticket, wait until it is acknowledged, and return it with its history."""
    what = [payload] if isinstance(payload, str) else ["--payload-json", json.dumps(payload)]
    ticket_id = ask(scene, "send", AGENT, *what, "--json", "--no-reply")["ticketId"]

    def delivered() -> Mapping[str, Any] | None:
        ticket: Mapping[str, Any] = ask(scene, "show", ticket_id, "--json")
        return ticket if ticket["status"] != "pending" else None

    found: Mapping[str, Any] | None = wait_for(delivered, ARRIVAL_DEADLINE)
    if found is None:
        raise BridgeError(
            f"ticket {ticket_id} did not arrive within {ARRIVAL_DEADLINE:.0f} s; "
            f"the watcher's last lines: {scene.last_words('watch')}"
        )
    return found


def latency_ms(ticket: Mapping[str, Any]) -> int:
    """From accepted to injected, by the ticket's history.

    A watcher without a pane reports no injection; then until acknowledged.
    """
    moments = {
        entry["stage"]: datetime.fromisoformat(entry["at"].replace("Z", "+00:00"))
        for entry in ticket["history"]
    }
    arrived = moments.get("injected", moments["acknowledged"])
    return round((arrived - moments["accepted"]).total_seconds() * 1000)


class DemoStage(abc.ABC):
    """Where the tickets arrive."""

    description = title = removed = ""

    def __init__(self, scene: Sandbox) -> None:
        self._scene = scene

    @abc.abstractmethod
    def open(self) -> subprocess.Popen[bytes]:
        """Start the watcher."""

    @abc.abstractmethod
    def shown(self) -> list[str]:
        """The output of the stage, as lines to print."""


class PrintStage(DemoStage):
    description = "prints each ticket as a line of JSON (watch --print)"
    title = "what the watcher printed:"

    def open(self) -> subprocess.Popen[bytes]:
        return self._scene.start("watch", [*own_command(), "watch", AGENT, "--print"])

    def shown(self) -> list[str]:
        return self._scene.read("watch.out").splitlines()


class PaneStage(DemoStage):
    """A shell in a pane of a private tmux server.

    The watcher types one constant command into it, `bridge show ID`.
    """

    description = "types into a shell in a pane of a private tmux server"
    title = "what the pane shows:"
    removed = ", tmux server"

    def open(self) -> subprocess.Popen[bytes]:
        scene = self._scene
        scene.variables["LC_ALL"] = "C.UTF-8"
        self._write_bridge_script()
        shell = "bash --norc --noprofile -i" if shutil.which("bash") else "sh -i"
        # The tmux server is not a child process, and cannot be stopped while it starts.
        with scene.making():
            scene.on_end(lambda: self._tmux("kill-server", is_checked=False))
            self._tmux(
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-s",
                AGENT,
                "-x",
                "160",
                "-y",
                "60",
                f"env PS1='$ ' PATH={shlex.quote(scene.folder)}:\"$PATH\" {shell}",
            )
        place = [
            AGENT,
            "0",
            "-S",
            scene.path("tmux"),
            "--form",
            "shell",
            "--shell-command",
            "bridge show {id}",
        ]
        return scene.start("watch", [*own_command(), "watch", AGENT, *place])

    def _write_bridge_script(self) -> None:
        """Make `bridge` in the pane this program, even if another one has that name."""
        with open(self._scene.path("bridge"), "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, own_command()))} "$@"\n')
            os.fchmod(file.fileno(), 0o700)

    def _tmux(self, *words: str, is_checked: bool = True) -> str:
        status, out, err = self._scene.run(
            ["tmux", "-u", "-S", self._scene.path("tmux"), *words], "tmux-said"
        )
        if is_checked and status:
            raise BridgeError(f"tmux {words[0]} failed: {err.strip()}")
        return out

    def shown(self) -> list[str]:
        # A ticket is acknowledged when its command is submitted. Its output comes a moment later.
        wait_for(lambda: self._lines()[-1:] == ["$"], START_DEADLINE)
        return self._lines()[-LINES_SHOWN:]

    def _lines(self) -> list[str]:
        return self._tmux("capture-pane", "-p", "-S", "-", "-t", f"={AGENT}:").rstrip().splitlines()
