"""What the soak test plays with: a broker on its store, a sick proxy before it, a private tmux server, watchers.

    publishers ─► broker (or proxy) ◄─ proxy ◄─ watchers ─► panes ─► logs

Each pane's program writes down what it was given, with its own process id: so each life of a pane has an account
of its own. Beside each pane lies a second one in the same window, which nobody may ever type into.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from running import ROOT, Broker, environment, package_launcher, wait_until
from soak.proxy import Proxy

sys.path.insert(0, str(ROOT / "tests" / "tmux"))
from panes import AGENTS, PaneHandle, Server  # noqa: E402

START = 60.0  # seconds a process may take to start: two cores, shared by everything
BROKER = {"BRIDGE_RATE_LIMIT": 0, "BRIDGE_SSE_HEARTBEAT": 500}
# Everything that heals by time heals fast, so that a minute here is an hour outside.
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
    "BRIDGE_LEASE": 2000,
    "BRIDGE_QUIET": 500,
    "BRIDGE_COOL_DOWN": 50,
    "BRIDGE_ENTER_WAIT": 700,
    "BRIDGE_INJECT_RATE": 600,
    "BRIDGE_PANE_CHECK": 1000,
    "BRIDGE_EXPLAIN_AFTER": 1000,
}

SHELL = "exec env 'PS1=dev$ ' "  # the shell that tmux starts for us would not pass it on
PLACEHOLDER = "Try to fix it"
AGENT_HABITS = (
    "--box --busy 0.15",
    "",
    f"--main-screen --placeholder '{PLACEHOLDER}'",
    "--box --fold 6 --busy 0.5",
    "--slow 0.12 --burst 0.12",
    "--box --swallow 1 --slow 0.05",
    "--glyph '>' --busy 1.0",
)
OTHER_SHELLS = ("zsh -f", "dash", "bash --norc --noprofile -o vi")


@dataclass
class Life:
    """One process in a pane, from its birth to its death (wall clock seconds)."""

    pid: int
    born: float
    died: float = float("inf")
    doomed: float = float("inf")  # when the killing began


@dataclass
class Place:
    """One pane that is watched."""

    name: str  # agent and session
    prompt: str  # what stands left of an empty input
    command: str
    placeholder: str = ""  # what an empty input shows
    lives: list[Life] = field(default_factory=list)
    id: str = ""  # tmux's pane id in the current life


class Watcher:
    """A process that watches one place, or supervises all; killed, stopped, continued and started again as fate wills."""

    def __init__(self, name: str, words: list[str], scene: Scene) -> None:
        self.name = name
        self._scene = scene
        self._words = [*words, "-L", scene.tmux.name, "--log-level", "debug"]
        self._log = open(scene.folder / f"{name}.log", "ab")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        words = self._words
        settings = environment(BRIDGE_BROKER_URL=self._scene.proxy.url, **WATCHER)
        self.process = subprocess.Popen([*package_launcher(), *words], env=settings, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM: it must finish what it has in hand, and leave with status 0."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START)

    def said(self) -> str:
        return pathlib.Path(self._log.name).read_text(errors="replace")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        self._log.close()


class Scene:
    """All of it, built up and taken down."""

    def __init__(self, folder: pathlib.Path, seed: object, crew: str = "") -> None:
        self.folder = folder
        self.crew = crew or random.Random(f"crew {seed}").choice(sorted(CREWS))
        self.proxy = Proxy(seed)
        self.broker = Broker(package_launcher(), str(folder / "soak.db"), **BROKER)
        self.broker_starts: list[str] = []  # what each broker before the present one said
        self.tmux = Server(folder)
        self.lock = threading.RLock()  # held while panes die and are born: people must not type into thin air
        chance = random.Random(f"scene {seed}")
        habits = chance.choice(AGENT_HABITS)
        agent = f"{sys.executable} {AGENTS / 'agent.py'} --log messages.$$ --trace keys.$$ {habits}"
        other = chance.choice(OTHER_SHELLS)
        self.cast = f"{self.crew}; agent {habits}; other: {other}"
        self.places = {
            place.name: place
            for place in (
                Place("bash", "dev$ ", SHELL + "PLACE=bash bash --norc --noprofile"),
                Place("agent", "> " if "--glyph" in habits else "❯ ", "exec " + agent, placeholder=PLACEHOLDER if "--placeholder" in habits else ""),
                Place("other", "dev$ ", SHELL + "PLACE=other " + other),
            )
        }
        self.watchers = CREWS[self.crew](self)

    def __enter__(self) -> Scene:
        # Which place a shell stands in it says itself: a supervisor types the same command into all of them.
        (self.folder / "record").write_text('#!/bin/sh\nprintf "%s %s\\n" "$PPID" "$*" >> "$PLACE.log"\n')
        self.proxy.start()
        try:
            self.start_broker()
            self.open_panes()
            for watcher in self.watchers:
                watcher.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for watcher in self.watchers:
            watcher.close()
        self.broker.kill()
        self.proxy.stop()
        self.tmux.stop()
        for place in self.places.values():  # a shell that hears of its terminal's end still writes its history
            if place.lives:
                wait_until(lambda life=place.lives[-1]: not is_alive(life.pid), f"the end of {place.name}'s program")

    # the broker

    def start_broker(self) -> None:
        self.broker.start()
        self.proxy.target = self.broker.port

    def kill_broker(self) -> None:
        self.broker.kill()
        self.broker_starts.append(self.broker.said())

    # panes

    def open_panes(self) -> None:
        for place in self.places.values():
            self.tmux("new-session", "-d", "-s", place.name, "-x", "100", "-y", "40", "-c", str(self.folder), place.command)
            place.id = self.tmux("list-panes", "-t", f"={place.name}:", "-F", "#{pane_id}").strip()
            self.tmux("split-window", "-d", "-v", "-l", "4", "-t", place.id, "-c", str(self.folder), f"exec cat >> beside-{place.name}.log")
            self._born(place)

    def respawn(self, place: Place) -> None:
        with self.lock:
            place.lives[-1].doomed = time.time()
            self.tmux("respawn-pane", "-k", "-t", place.id, "-c", str(self.folder), place.command)
            place.lives[-1].died = time.time()
            self._born(place)

    def kill_tmux(self) -> None:
        """kill -9: with the lock held, because for a while there is nothing to type into."""
        server = int(self.tmux("display-message", "-p", "#{pid}"))
        for place in self.places.values():
            place.lives[-1].doomed = time.time()
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{server}").exists(), "the end of the tmux server")
        for place in self.places.values():
            life = place.lives[-1]
            wait_until(lambda life=life: not is_alive(life.pid), f"the end of {place.name}'s program")
            life.died = time.time()

    def _born(self, place: Place) -> None:
        pid = int(self.tmux("display-message", "-p", "-t", place.id, "#{pane_pid}"))
        place.lives.append(Life(pid, time.time()))
        self.note(f"{place.name} lives as {pid}")

    def note(self, what: str) -> None:
        """For whoever reads what became of a run that failed; in the clock of the logs."""
        now = time.time()
        with open(self.folder / "events.log", "a") as file:
            file.write(f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d} {what}\n")

    def handle(self, place: Place) -> PaneHandle:
        return PaneHandle(self.tmux, place.name, place.id)


RECORDER = ["--shell-command", "sh record {id}"]


def watchers(scene: Scene) -> list[Watcher]:
    """Two for each of two places, who share; one for the third."""
    form = {"agent": ["--form", "agent"]}
    pairs = (("bash", 1), ("bash", 2), ("agent", 1), ("agent", 2), ("other", 1))
    return [Watcher(f"watch-{name}-{number}", ["watch", name, name, "0", *RECORDER, *form.get(name, [])], scene) for name, number in pairs]


def supervisors(scene: Scene, *names: str) -> list[Watcher]:
    """Two for all places, who share."""
    roster = {name: {"session": name, "pane": "0", **({"form": "agent"} if name == "agent" else {})} for name in scene.places}
    (scene.folder / "roster.json").write_text(json.dumps(roster))
    words = ["supervise", "--file", str(scene.folder / "roster.json"), *RECORDER]
    return [Watcher(f"supervise-{number}", [*words, "--name", name], scene) for number, name in enumerate(names)]


CREWS = {
    "watchers": watchers,
    "supervisors of one name": lambda scene: supervisors(scene, "same", "same"),
    "supervisors of two names": lambda scene: supervisors(scene, "one", "other"),
}


def is_alive(pid: int) -> bool:
    """A process that runs; a zombie does not (proc(5), state)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
