"""The crews of the soak: the processes that watch its panes.

    watchers                    one or two processes for each agent;
                                a further agent asks for a pane that is taken
    supervisors of one name     two processes for all agents, with the same name
    supervisors of two names    two processes for all agents, with different names
    a supervisor that shares    one process; two panes have two agents each

Fate kills, stops and restarts these processes.
"""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
from typing import TYPE_CHECKING

from running import ROOT, environment, package_launcher

from soak.places import COMMAND, Place

if TYPE_CHECKING:
    from soak.scene import Scene

START = 60.0  # seconds a process may take to start; all processes share two cores
LEASE = 2.0  # seconds, multiplied by the scene's pace
# All waits and retries are short, so that one minute here covers an hour of normal use.
WATCHER = {
    "BRIDGE_SSE_HEARTBEAT": 500,
    "BRIDGE_FIRST_BYTE": 1500,
    "BRIDGE_CONNECT_TIMEOUT": 1000,
    "BRIDGE_REQUEST_TIMEOUT": 1500,
    "BRIDGE_LONGPOLL_WAIT": 1000,
    "BRIDGE_RECONNECT_MAX": 1500,
    "BRIDGE_RETRY_MAX": 1500,
    "POLL_INTERVAL_MS": 700,
    "BRIDGE_PROBE_INTERVAL": 3000,
    "BRIDGE_TIER_HOLDS": 2000,
    "BRIDGE_QUIET": 500,
    "BRIDGE_COOL_DOWN": 50,
    "BRIDGE_ENTER_WAIT": 700,
    "BRIDGE_INJECT_RATE": 600,
    "BRIDGE_PANE_CHECK": 1000,
    "BRIDGE_EXPLAIN_AFTER": 1000,
    "BRIDGE_SHOWN_WAIT": 8000,  # `show` starts Python, and uses the faulty proxy
    "BRIDGE_SHOW_TRIES": 100,
    "BRIDGE_STUCK_MAX": 10000,
}


class Watcher:
    """A process that watches one place or supervises all, and its log."""

    def __init__(self, name: str, words: list[str], scene: Scene) -> None:
        self.name = name
        self._scene = scene
        self._words = [*words, "-L", scene.tmux.name, "--log-level", "debug"]
        self._log = open(scene.folder / f"{name}.log", "ab")
        self.process: subprocess.Popen | None = None
        self.refusals = 0

    def start(self) -> None:
        words = self._words
        settings = environment(
            BRIDGE_BROKER_URL=self._scene.proxy.url,
            **{**WATCHER, "BRIDGE_LEASE": round(LEASE * 1000 * self._scene.pace)},
        )
        self.process = subprocess.Popen(
            [*package_launcher(), *words],
            env=settings,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM; the process must finish its current work and exit with status 0."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return its exit status; 0 if it was refused a pane."""
        status = self.process.wait(START)
        return 0 if self.is_refused else status

    @property
    def is_refused(self) -> bool:
        """True if it ended because another agent has its pane."""
        return bool(self.process.poll()) and "has agent" in self.said().rstrip().rpartition("\n")[2]

    def tend(self) -> None:
        """Start it again if it was refused, as a service manager does."""
        if self.is_refused:
            self.refusals += 1
            self.start()

    def said(self) -> str:
        return pathlib.Path(self._log.name).read_text(errors="replace")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        self._log.close()


RECORDER = ["--shell-command", COMMAND]


def watchers(scene: Scene) -> list[Watcher]:
    """Create two watchers for each of two places, and one for each other place.

    The last watcher belongs to a further agent, which is refused.
    """
    pairs = (
        ("bash", 1),
        ("bash", 2),
        ("agent", 1),
        ("agent", 2),
        ("other", 1),
        ("below", 1),
        ("second", 1),
    )
    return [
        Watcher(
            f"watch-{name}-{number}",
            ["watch", name, place.name, "0", *RECORDER, *form(place)],
            scene,
        )
        for name, number in pairs
        for place in [scene.place_of(name)]
    ]


def form(place: Place) -> list[str]:
    return ["--form", "agent"] if place.is_agent else []


def supervisors(scene: Scene, *names: str) -> list[Watcher]:
    """Create one supervisor for each name, each of all places."""
    hosts = {agent: place for place in scene.places.values() for agent in place.agents}
    roster = {
        agent: {"session": place.name, "pane": "0", **({"form": "agent"} if place.is_agent else {})}
        for agent, place in hosts.items()
    }
    (scene.folder / "roster.json").write_text(json.dumps(roster))
    words = [
        "supervise",
        "--file",
        str(scene.folder / "roster.json"),
        *RECORDER,
        *(["--share-pane"] if scene.guests else []),
    ]
    return [
        Watcher(f"supervise-{number}", [*words, "--name", name], scene)
        for number, name in enumerate(names)
    ]


CREWS = {
    "watchers": watchers,
    "supervisors of one name": lambda scene: supervisors(scene, "same", "same"),
    "supervisors of two names": lambda scene: supervisors(scene, "one", "other"),
    "a supervisor that shares": lambda scene: supervisors(scene, "alone"),
}
