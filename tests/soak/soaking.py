"""One soak: faults for some seconds, then a quiet time to drain, then the account.

All random choices come from the seed: faults, blows, keys and bodies. Their times depend on the
machine. So a seed repeats the script, but not every race in it. Repeat a failed run several times.
"""

from __future__ import annotations

import pathlib
import signal
import threading
import time
from dataclasses import dataclass

from soak.account import reckon
from soak.fate import Fate
from soak.people import Human
from soak.publishers import Publisher, ticket_of
from soak.scene import Scene

DRAIN = 60.0  # seconds without an acknowledgement, after the last blow, until the drain gives up


@dataclass(frozen=True)
class Outcome:
    wrongs: list[str]
    summary: str


def soak(
    seed: object, seconds: float, folder: pathlib.Path, say=lambda text: None, crew: str = ""
) -> Outcome:
    began = time.time()

    def tell(text: str) -> None:
        say(f"{time.time() - began:7.1f} s  {text}")

    with Scene(folder, seed, crew) as scene:
        stopping = threading.Event()
        publishers = [
            Publisher(scene, name, seed, stopping)
            for place in scene.places.values()
            for name in place.agents
        ]
        humans = [Human(scene, place, seed, stopping) for place in scene.places.values()]
        fate = Fate(scene, seed, tell)
        for thread in (*publishers, *humans):
            thread.start()
        try:
            fate.strike_for(seconds)
        finally:
            stopping.set()
        tell("peace: everything drains")
        scene.proxy.heal()
        for thread in (*publishers, *humans):
            thread.join(DRAIN)
        wrongs = [
            f"{thread.name}: {thread.failure!r}"
            for thread in (*publishers, *humans)
            if thread.failure is not None
        ]
        wrongs += [
            f"{thread.name} did not end" for thread in (*publishers, *humans) if thread.is_alive()
        ]
        wrongs += scene.dismiss_guests()
        drain(
            scene,
            [
                publisher
                for publisher in publishers
                if not (scene.are_guests_refused and publisher.agent in scene.guests)
            ],
        )
        last = pictures(scene)
        tell("the last pictures:" + last)
        wrongs += part(scene)
        wrongs += reckon(scene, publishers, humans)
        wrongs += complaints(scene)
        if wrongs:
            wrongs.insert(0, "the panes at the end:" + last)
        return Outcome(wrongs, summarise(scene, publishers, humans, fate))


def drain(scene: Scene, publishers: list[Publisher]) -> None:
    """Wait until every accepted ticket is acknowledged, or no more of them are.

    The account reports the tickets that are left.
    """
    waiting = {ticket_id for publisher in publishers for ticket_id in publisher.accepted}
    moved = time.monotonic()
    while waiting and time.monotonic() < moved + DRAIN:
        scene.tend()
        left = {
            each for each in waiting if ticket_of(scene.broker.port, each)["status"] == "pending"
        }
        moved = moved if left == waiting else time.monotonic()
        waiting = left
        time.sleep(0.2)


def pictures(scene: Scene) -> str:
    """Return the last rows of each pane and the last reason of each watcher, for a failed run."""
    text = ""
    for place in scene.places.values():
        screen = (
            scene.tmux("capture-pane", "-p", "-t", place.id, check=False) or "(the pane is gone)"
        )
        rows = [row for row in screen.split("\n") if row.strip()]
        text += f"\n  {place.name}: " + "\n      | ".join(["", *rows[-6:]])
    for watcher in scene.watchers:
        said = [line for line in watcher.said().splitlines() if "reason=" in line]
        text += f"\n  {watcher.name}: {said[-1] if said else ''}"
    return text


def part(scene: Scene) -> list[str]:
    """Stop the watchers and return their faults.

    A program that is still reading its input gets the time that this takes.
    """
    statuses = []
    for watcher in scene.watchers:
        watcher.signal(signal.SIGTERM)
    for watcher in scene.watchers:
        status = watcher.wait()
        if status not in (0, -signal.SIGTERM):
            statuses.append(f"{watcher.name} ended with status {status}")
    for place in scene.places.values():
        # When this call returns, tmux has written all earlier keys to the program.
        scene.tmux("send-keys", "-t", place.id, "", check=False)
    time.sleep(0.5)
    return statuses


def complaints(scene: Scene) -> list[str]:
    """Return tracebacks and warnings that any bridge process printed."""
    said = {watcher.name: watcher.said() for watcher in scene.watchers}
    said.update(
        {
            f"broker {number}": text
            for number, text in enumerate([*scene.broker_starts, scene.broker.said()])
        }
    )
    return [
        f"{name} printed {sign!r}:"
        f" ...{text[max(0, text.index(sign) - 300) : text.index(sign) + 3000]}"
        for name, text in said.items()
        for sign in ("Traceback", "Warning:", "never retrieved", "was destroyed")
        if sign in text
    ]


def summarise(scene: Scene, publishers: list[Publisher], humans: list[Human], fate: Fate) -> str:
    accepted = {publisher.agent: len(publisher.accepted) for publisher in publishers}
    tiers = sum(watcher.said().count("tier changed") for watcher in scene.watchers)
    lines = {human._place.name: human.counts for human in humans}
    lives = {place.name: len(place.lives) for place in scene.places.values()}
    lives["agents below"] = sum(len(place.inner) for place in scene.places.values())
    said: dict[str, int] = {"refused": sum(watcher.refusals for watcher in scene.watchers)}
    for words in ("pane lost", "set aside ticket", "has agent", "unconfirmed"):
        said[words] = sum(watcher.said().count(words) for watcher in scene.watchers)
    return "\n".join(
        [
            f"{scene.cast}; times stretched by {scene.pace:.1f}",
            f"accepted {sum(accepted.values())} {accepted},"
            f" sent again {sum(publisher.repeats for publisher in publishers)}",
            f"blows {dict(fate.blows)}; lives of panes {lives}; changes of tier {tiers}",
            f"counts in the watchers' logs {said}",
            f"faults of connections {dict(scene.proxy.counts)}",
            f"people {lines}",
        ]
    )
