"""The scene of a soak: a broker with its store, a faulty proxy, a private tmux server, watchers.

    publishers ─► broker (or proxy) ◄─ proxy ◄─ watchers ─► panes ─► logs

Each pane's program logs its input under its own process id, so each life of a pane has its own
account. Beside each pane is a second pane in the same window, which must never get any input.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from panes import AGENTS, PaneHandle, Server
from running import ROOT, Broker, environment, package_launcher, wait_until

from soak.crews import CREWS, START
from soak.places import (
    AGENT_HABITS,
    GUESTS,
    OTHER_SHELLS,
    RECORD,
    SHELL,
    SHELL_PROMPT,
    SHOW,
    START_AGENT,
    Life,
    Place,
    glyph,
    is_alive,
)
from soak.proxy import Proxy

START_IDLE = 0.5  # seconds that a bridge process takes to start on an idle machine
BROKER = {"BRIDGE_RATE_LIMIT": 0, "BRIDGE_SSE_HEARTBEAT": 500}


class Scene:
    """Starts and stops everything, and records when each program lived."""

    def __init__(self, folder: pathlib.Path, seed: object, crew: str = "") -> None:
        self.folder = folder
        self.crew = crew or random.Random(f"crew {seed}").choice(sorted(CREWS))
        self.proxy = Proxy(seed)
        self.broker = Broker(package_launcher(), str(folder / "soak.db"), **BROKER)
        self.broker_starts: list[str] = []  # the output of each broker before the current one
        self.tmux = Server(folder)
        # Held while panes end and start, so that no person types into a pane that does not exist.
        self.lock = threading.RLock()
        self.pace = measure_pace()
        chance = random.Random(f"scene {seed}")
        habits, inner_habits = chance.choice(AGENT_HABITS), chance.choice(AGENT_HABITS)
        agent = f"{sys.executable} {AGENTS / 'agent.py'} --log messages.$$ --trace keys.$$ {habits}"
        other = chance.choice(sorted(OTHER_SHELLS))
        self.cast = f"{self.crew}; agent {habits}; below {inner_habits}; other: {other}"
        self._inner_habits = inner_habits
        bash = "bash --norc --noprofile"
        places = (
            Place("bash", SHELL_PROMPT, SHELL + "PLACE=bash " + bash),
            Place("agent", glyph(habits), "exec " + agent, habits),
            Place(
                "other", SHELL_PROMPT, SHELL + "PLACE=other " + other, editor=OTHER_SHELLS[other]
            ),
            Place(
                "below",
                glyph(inner_habits),
                SHELL + "PLACE=below " + bash,
                inner_habits,
                has_shell_below=True,
            ),
        )
        self.places = {place.name: place for place in places}
        self.guests = GUESTS.get(self.crew, {})
        for place in places:
            place.agents = [
                place.name,
                *(guest for guest, host in self.guests.items() if host == place.name),
            ]
        self._dismissed: list = []
        self.watchers = CREWS[self.crew](self)

    def __enter__(self) -> Scene:
        # A supervisor types the same command into all panes. So the scripts below read the name
        # of the pane from PLACE in the shell's environment.
        self.proxy.start()
        (self.folder / "bridge").write_text(
            SHOW.format(python=sys.executable, bridge=ROOT / "bridge", url=self.proxy.url)
        )
        (self.folder / "record").write_text(RECORD)
        (self.folder / "agent").write_text(
            START_AGENT.format(
                python=sys.executable, script=AGENTS / "agent.py", habits=self._inner_habits
            )
        )
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
        # A shell still writes its history after SIGHUP. Wait for that before the folder is removed.
        for place in self.places.values():
            if place.lives:
                wait_until(
                    lambda life=place.lives[-1]: not is_alive(life.pid),
                    f"the end of {place.name}'s program",
                )

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
            self.tmux(
                "new-session",
                "-d",
                "-s",
                place.name,
                "-x",
                "100",
                "-y",
                "40",
                "-c",
                str(self.folder),
                place.command,
            )
            place.id = self.tmux("list-panes", "-t", f"={place.name}:", "-F", "#{pane_id}").strip()
            self.tmux(
                "split-window",
                "-d",
                "-v",
                "-l",
                "4",
                "-t",
                place.id,
                "-c",
                str(self.folder),
                f"exec cat >> beside-{place.name}.log",
            )
            self._born(place)

    def respawn(self, place: Place) -> None:
        with self.lock:
            place.lives[-1].doomed = time.time()
            self._doom_inner(place)
            self.tmux("respawn-pane", "-k", "-t", place.id, "-c", str(self.folder), place.command)
            place.lives[-1].died = time.time()
            self._end_inner(place)
            self._born(place)

    def kill_tmux(self) -> None:
        """Kill the tmux server with SIGKILL. The caller holds the lock, because all panes end."""
        server = int(self.tmux("display-message", "-p", "#{pid}"))
        for place in self.places.values():
            place.lives[-1].doomed = time.time()
            self._doom_inner(place)
        os.kill(server, signal.SIGKILL)
        wait_until(
            lambda: not pathlib.Path(f"/proc/{server}").exists(), "the end of the tmux server"
        )
        for place in self.places.values():
            life = place.lives[-1]
            wait_until(
                lambda life=life: not is_alive(life.pid), f"the end of {place.name}'s program"
            )
            life.died = time.time()
            self._end_inner(place)

    # agents that a person started from a shell

    def inner_pid(self, place: Place) -> int:
        """Return the pid of the agent in this life of the pane; 0 if none runs."""
        path = self.folder / f"inner.{place.lives[-1].pid}"
        words = path.read_text().split() if path.exists() else []
        return int(words[0]) if words and is_alive(int(words[0])) else 0

    def note_inner(self, place: Place) -> None:
        """Record that a person has started the agent."""
        place.inner.append(Life(self.inner_pid(place), time.time()))
        self.note(f"an agent lives in {place.name} as {place.inner[-1].pid}")

    def end_agent(self, place: Place, number: int) -> bool:
        """End the agent by a signal, while no person types; return False if none runs."""
        with self.lock:
            pid = self.inner_pid(place)
            if not pid or not place.inner or place.inner[-1].pid != pid:
                return False
            self._doom_inner(place)
            for each in (number, signal.SIGCONT):
                send_signal(pid, each)
            wait_until(lambda: not is_alive(pid), f"the end of the agent in {place.name}")
            self._end_inner(place)
            return True

    def _doom_inner(self, place: Place) -> None:
        for life in place.inner[-1:]:
            life.doomed = min(life.doomed, time.time())

    def _end_inner(self, place: Place) -> None:
        for life in place.inner[-1:]:
            life.died = min(life.died, time.time())

    def _born(self, place: Place) -> None:
        pid = int(self.tmux("display-message", "-p", "-t", place.id, "#{pane_pid}"))
        place.lives.append(Life(pid, time.time()))
        self.note(f"{place.name} lives as {pid}")

    def place_of(self, agent: str) -> Place:
        return next(place for place in self.places.values() if agent in place.agents)

    @property
    def are_guests_refused(self) -> bool:
        """True if each agent has its own process: then two agents cannot have one pane."""
        return len(self.watchers) > 2 and bool(self.guests)

    def wait_up(self) -> None:
        for watcher in self.watchers:
            wait_until(
                lambda each=watcher: "receiving" in each.said() or each.is_refused,
                f"the start of {watcher.name}",
                START,
            )

    def tend(self) -> None:
        for watcher in self.watchers:
            if watcher not in self._dismissed:
                watcher.tend()

    def dismiss_guests(self) -> list[str]:
        """Stop the guests, the agents that ask for a pane of another agent, so that it is free."""
        guests = self._dismissed = [
            watcher
            for watcher in self.watchers
            if self.are_guests_refused and watcher.name.split("-")[1] in self.guests
        ]
        statuses = [watcher.stop() for watcher in guests]
        return [
            f"a guest ended with status {status} on SIGTERM"
            for status in statuses
            if status not in (0, -signal.SIGTERM)
        ]

    def note(self, what: str) -> None:
        """Log an event of the soak, for the analysis of a failed run, with the logs' clock."""
        now = time.time()
        at = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d}"
        with open(self.folder / "events.log", "a") as file:
            file.write(f"{at} {what}\n")

    def handle(self, place: Place) -> PaneHandle:
        return PaneHandle(self.tmux, place.name, place.id)


def measure_pace() -> float:
    """Return the factor that stretches all times: the start time of a process over START_IDLE.

    The shorter of two, because the first start may have to compile bridge.
    """
    return max(1.0, min(_start_time(), _start_time()) / START_IDLE)


def _start_time() -> float:
    began = time.monotonic()
    subprocess.run(
        [*package_launcher(), "watch", "--help"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - began


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
