"""The failures of processes in a soak, drawn from the seed: kills, stops and restarts.

Fate uses one thread and makes one blow at a time. It undoes each blow before the next one, so that
in the end everything runs that ran at the start.
"""

from __future__ import annotations

import collections
import random
import signal
import threading
import time

from soak.crews import LEASE
from soak.scene import Scene, send_signal

# Weights of the blows. A run uses one of these tables.
TEMPERS = (
    {
        "kill_broker": 3,
        "stop_broker": 1,
        "kill_watcher": 5,
        "stop_watcher": 2,
        "freeze_watcher": 4,
        "suspend": 1,
        "freeze_broker": 1,
        "respawn_pane": 1,
        "kill_tmux": 1,
        "end_agent": 4,
    },
    {"kill_watcher": 5, "freeze_watcher": 5, "stop_watcher": 1, "end_agent": 3},
    {"freeze_watcher": 4, "suspend": 1, "end_agent": 2},
    {"respawn_pane": 2, "kill_tmux": 2, "kill_watcher": 1, "end_agent": 4},
)


class Fate:
    """Makes blows for a given time. `blows` counts them by name."""

    def __init__(self, scene: Scene, seed: object, say) -> None:
        self.blows: collections.Counter[str] = collections.Counter()
        self._scene, self._say = scene, say
        self._random = random.Random(f"fate {seed}")
        self._temper = self._random.choice(TEMPERS)
        self._rest = self._random.choice((0.3, 1.0, 2.5))  # longest pause between blows, in seconds
        self._stopping = threading.Event()

    def strike_for(self, seconds: float) -> None:
        self._scene.wait_up()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._pause(0.0, self._rest)
            self._scene.tend()
            name = self._random.choices(list(self._temper), list(self._temper.values()))[0]
            self._say(f"fate: {name}")
            self._scene.note(f"fate: {name}")
            getattr(self, f"_{name}")()
            self.blows[name] += 1

    def _pause(self, least: float, most: float) -> None:
        """Wait between `least` and `most` seconds, stretched by the scene's pace."""
        self._stopping.wait(self._random.uniform(least, most) * self._scene.pace)

    def _kill_broker(self) -> None:
        self._scene.kill_broker()
        self._pause(0.0, 1.0)
        self._scene.start_broker()

    def _stop_broker(self) -> None:
        self._scene.broker.stop()
        self._scene.broker_starts.append(self._scene.broker.said())
        self._pause(0.0, 0.5)
        self._scene.start_broker()

    def _freeze_broker(self) -> None:
        self._scene.broker.signal(signal.SIGSTOP)
        self._pause(0.1, 2.0)
        self._scene.broker.signal(signal.SIGCONT)

    def _kill_watcher(self) -> None:
        watcher = self._random.choice(self._scene.watchers)
        watcher.kill()
        self._pause(0.0, 1.0)
        watcher.start()

    def _stop_watcher(self) -> None:
        watcher = self._random.choice(self._scene.watchers)
        status = watcher.stop()
        # -15: the process had not installed its signal handlers yet
        assert status in (0, -signal.SIGTERM), (
            f"{watcher.name} ended with status {status} on SIGTERM:\n{watcher.said()[-2000:]}"
        )
        watcher.start()

    def _freeze_watcher(self) -> None:
        """Stop a watcher, usually for longer than its lease, so that another may do its work."""
        watcher = self._random.choice(self._scene.watchers)
        watcher.signal(signal.SIGSTOP)
        self._pause(0.5 * LEASE, 2.5 * LEASE)
        watcher.signal(signal.SIGCONT)

    def _suspend(self) -> None:
        """Stop all watchers for longer than every lease, as a closed laptop does.

        The broker and the panes continue to run.
        """
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for watcher in self._scene.watchers:
                watcher.signal(number)
            if number == signal.SIGSTOP:
                self._pause(1.2 * LEASE, 2.0 * LEASE)
        self._pause(0.5 * LEASE, 2.0 * LEASE)  # leave time in which the watchers work

    def _end_agent(self) -> None:
        """End the agent below a shell: by SIGINT, by SIGKILL, or by SIGKILL with unread input.

        SIGUSR1 makes the agent sleep, so that a paste stays unread.
        """
        place = self._scene.places["below"]
        kind = self._random.choice(("quit", "kill", "read", "read"))
        if kind == "read":
            pid = self._scene.inner_pid(place)
            if pid and place.inner and place.inner[-1].pid == pid:
                send_signal(pid, signal.SIGUSR1)
            self._pause(0.3, 2.0)
        if self._scene.end_agent(place, signal.SIGINT if kind == "quit" else signal.SIGKILL):
            self.blows[f"{kind} the agent"] += 1

    def _respawn_pane(self) -> None:
        self._scene.respawn(self._random.choice(list(self._scene.places.values())))

    def _kill_tmux(self) -> None:
        with self._scene.lock:
            self._scene.kill_tmux()
            self._pause(0.0, 1.0)
            self._scene.open_panes()
