"""What happens to the processes, from the seed: kills, stops, new lives.

Fate acts in one thread, one blow after the other; each blow is undone before the next, so that in the end
everything runs that ran in the beginning.
"""

from __future__ import annotations

import collections
import random
import signal
import threading
import time

from soak.crews import LEASE
from soak.scene import Scene, send_signal

TEMPERS = (  # how often each blow falls; one of these for a run
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
    """Strikes until told to stop. `blows` counts what it did, `failure` is a process that did not end as it should."""

    def __init__(self, scene: Scene, seed: object, say) -> None:
        self.blows: collections.Counter[str] = collections.Counter()
        self._scene, self._say = scene, say
        self._random = random.Random(f"fate {seed}")
        self._temper = self._random.choice(TEMPERS)
        self._rest = self._random.choice((0.3, 1.0, 2.5))  # seconds at most between two blows
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
        """Seconds of an idle machine."""
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
        # -15: it had not yet come so far as to hear signals
        assert status in (0, -signal.SIGTERM), (
            f"{watcher.name} ended with status {status} on SIGTERM:\n{watcher.said()[-2000:]}"
        )
        watcher.start()

    def _freeze_watcher(self) -> None:
        """Past its lease, more often than not; when it wakes, another may have done its work."""
        watcher = self._random.choice(self._scene.watchers)
        watcher.signal(signal.SIGSTOP)
        self._pause(0.5 * LEASE, 2.5 * LEASE)
        watcher.signal(signal.SIGCONT)

    def _suspend(self) -> None:
        """As a laptop is closed: all watchers stand still, past every lease; the world goes on without them."""
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for watcher in self._scene.watchers:
                watcher.signal(number)
            if number == signal.SIGSTOP:
                self._pause(1.2 * LEASE, 2.0 * LEASE)
        self._pause(0.5 * LEASE, 2.0 * LEASE)  # else it would be all sleep

    def _end_agent(self) -> None:
        """One that a shell reads on below: quit, killed, or killed while what was pasted is still unread."""
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
