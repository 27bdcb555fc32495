"""The account of a soak: compare the accepted tickets with the logs of the panes' programs.

Rule 1: Each accepted ticket reaches its pane once, and no life that began after its
acknowledgement.

- It may reach no life if a program ended while it was typed, or if another agent kept the pane.
- A shell may run a command again as long as no request reported to the broker that it ran.
- An agent's ticket may stay pending if the broker got the reason why its fate is unknown. It is
  never typed twice.

Rule 2: An agent gets the exact header and body; a shell gets its exact constant command.
Rule 3: Tickets of one agent are in the order of `seq`, in each life. Urgent tickets, and tickets
that were set aside, may be out of order.
Rule 4: A person's lines arrive as they were typed, each once. Deleted words arrive nowhere.
Rule 5: Nothing is executed, and nothing reaches the pane beside.
Rule 6: A shell's ticket is acknowledged only after it was shown.
"""

from __future__ import annotations

import calendar
import collections
import pathlib
import time
from dataclasses import dataclass

from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.injection.ticket_text import agent_text, id_words
from soak.people import Human
from soak.places import COMMAND, Life, Place
from soak.publishers import Publisher, ticket_of
from soak.scene import Scene

DYING = 3.0  # seconds before a program's end in which it may not read its input any more
UNKNOWN = ("was not seen to take it", "may have taken the text before", "it is not typed again")
# Seconds after the first `shown` in which a second `show` may still start, if it was typed before.
AGAIN = 4.0


def reckon(scene: Scene, publishers: list[Publisher], humans: list[Human]) -> list[str]:
    """Return every violation of the rules, as a sentence; an empty list if the account holds."""
    wrong = [f"{path} was made: something was executed" for path in scene.folder.rglob("pwned*")]
    for place, human in zip(scene.places.values(), humans):
        tickets = [
            ticket_of(scene.broker.port, ticket_id)
            for publisher in publishers
            if publisher.agent in place.agents
            for ticket_id in publisher.accepted
        ]
        refused = set(scene.guests) if scene.are_guests_refused else set()
        wrong += [
            f"{place.name}: {each}"
            for each in Book(scene.folder, place, tickets, human, refused).wrongs()
        ]
        beside = scene.folder / f"beside-{place.name}.log"
        if beside.exists() and beside.read_bytes():
            wrong.append(f"{place.name}: the pane beside was given {beside.read_bytes()[:200]!r}")
    return wrong


@dataclass(frozen=True)
class Entry:
    """One Enter in a program's log."""

    words: str
    at: float  # seconds since 1970; 0.0 if the log has no time


class Book:
    """One pane's account. `refused` are agents whose tickets need not arrive."""

    def __init__(
        self,
        folder: pathlib.Path,
        place: Place,
        tickets: list[dict],
        human: Human,
        refused: set[str] = frozenset(),
    ) -> None:
        self._folder, self._place, self._human, self._refused = folder, place, human, refused
        self._tickets = {expected(place, ticket): ticket for ticket in tickets}
        assert len(self._tickets) == len(tickets), "two tickets have the same text"
        self._pages = {life.pid: self._page(life) for life in place.programs}

    def _page(self, life: Life) -> list[Entry]:
        """Read the log of one life of the pane."""
        if self._place.is_agent:
            path = self._folder / f"messages.{life.pid}"
            return (
                [Entry(text, 0.0) for text in path.read_text("utf-8", "replace").split("\x1e")[:-1]]
                if path.exists()
                else []
            )
        path = self._folder / f"{self._place.name}.runs"
        lines = (
            [line.split(" ", 2) for line in path.read_text("utf-8", "replace").splitlines()]
            if path.exists()
            else []
        )
        return [Entry(line[2], float(line[1])) for line in lines if line[0] == str(life.pid)]

    def wrongs(self) -> list[str]:
        return [
            *self._wrong_entries(),
            *self._wrong_counts(),
            *self._wrong_order(),
            *self._wrong_lines(),
        ]

    def _wrong_entries(self) -> list[str]:
        """Find entries that are neither a ticket nor a person's line."""
        typed = {mark for _, mark, _ in self._human.lines}
        return [
            f"pid {pid} got a text that was never sent: {entry.words[:300]!r}"
            for pid, page in self._pages.items()
            for entry in page
            if entry.words not in self._tickets and entry.words not in typed
        ]

    def _wrong_counts(self) -> list[str]:
        wrong = []
        for words, ticket in self._tickets.items():
            name = f"ticket {ticket['ticketId']!r} (seq {ticket['seq']})"
            entries = {
                life.pid: [entry for entry in self._pages[life.pid] if entry.words == words]
                for life in self._place.programs
            }
            lives = [life for life in self._place.programs if entries[life.pid]]
            wrong += [
                f"{name} is {len(found)} times in pid {pid}: {why}: {story(ticket)}"
                for pid, found in entries.items()
                for why in [self._why_too_often(found, ticket)]
                if why
            ]
            acknowledged = moment_of(ticket, "acknowledged")
            if acknowledged is None:
                if ticket["agentId"] not in self._refused and not self._is_told(ticket):
                    wrong.append(
                        f"{name} is still {ticket['status']} long after the last blow:"
                        f" {story(ticket)}"
                    )
                continue
            wrong += [
                f"{name} was acknowledged before pid {life.pid} was born, and typed into it:"
                f" {story(ticket)}"
                for life in lives
                if acknowledged < life.born - 0.5
            ]
            is_dead = any(
                self._died_with_it(moment_of(ticket, stage) or 0.0)
                for stage in ("injected", "acknowledged")
            )
            # A swallowed Enter is pressed again after `injected`, so both moments count.
            if not lives and not is_dead:
                wrong.append(f"{name} is acknowledged, and in no pane: {story(ticket)}")
            shown = moment_of(ticket, "shown")
            if not self._place.is_agent and (shown is None or shown > acknowledged):
                wrong.append(f"{name} is acknowledged, and was not shown before: {story(ticket)}")
        return wrong

    def _why_too_often(self, entries: list[Entry], ticket: dict) -> str:
        """Return why one life has too many entries of a ticket; "" if it has not."""
        if (
            len(entries) < 2
            or not self._place.is_agent
            and entries[-1].at < (moment_of(ticket, "shown") or float("inf")) + AGAIN
        ):
            return ""
        return (
            "an agent gets it once"
            if self._place.is_agent
            else f"it was run at {entries[-1].at:.3f} although it had been shown"
        )

    def _is_told(self, ticket: dict) -> bool:
        """True if the broker got a reason why the fate of an agent's ticket is unknown."""
        reasons = [
            str(entry.get("evidence", {}).get("reason"))
            for entry in ticket["history"]
            if entry["stage"] == "aside"
        ]
        return self._place.is_agent and any(
            word in reason for reason in reasons[-1:] for word in UNKNOWN
        )

    def _died_with_it(self, submitted: float) -> bool:
        return any(life.doomed - DYING <= submitted <= life.died + 0.5 for life in self._place.ends)

    def _wrong_order(self) -> list[str]:
        wrong = []
        for pid, page in self._pages.items():
            order = [self._tickets[entry.words] for entry in page if entry.words in self._tickets]
            plain = [
                ticket
                for ticket in order
                if ticket["metadata"].get("priority") != "urgent"
                and moment_of(ticket, "aside") is None
            ]
            for agent in self._place.agents:
                own = [ticket for ticket in plain if ticket["agentId"] == agent]
                for earlier, later in zip(own, own[1:]):
                    if earlier["seq"] > later["seq"]:
                        wrong.append(
                            f"order in pid {pid}: {earlier['ticketId']!r} (seq {earlier['seq']})"
                            f" before {later['ticketId']!r} (seq {later['seq']}):"
                            f" {story(earlier)} / {story(later)}"
                        )
        return wrong

    def _wrong_lines(self) -> list[str]:
        """Find a person's lines that are not there once, unless a program died at that moment."""
        wrong = []
        counts = collections.Counter(entry.words for page in self._pages.values() for entry in page)
        for pid, mark, entered in self._human.lines:
            if counts[mark] > 1 or (not counts[mark] and not self._died_with_it(entered)):
                lives = [
                    (
                        life.pid,
                        f"{entered - life.born:.1f} s old",
                        f"{life.doomed - entered:.1f} s before its end",
                    )
                    for life in self._place.lives
                    if life.pid == pid
                ]
                wrong.append(
                    f"the person's line {mark!r} is {counts[mark]} times there;"
                    f" entered into {lives}"
                )
        return wrong


def expected(place: Place, ticket: dict) -> str:
    """Return the text that the pane's program must log for this ticket."""
    if place.is_agent:
        return agent_text(
            Ticket.from_json(ticket), TmuxSettings.body_cap, COMMAND, place.has_shell_below
        )
    return id_words(ticket["ticketId"])


def moment_of(ticket: dict, stage: str) -> float | None:
    """Return when the ticket reached that stage, in seconds since 1970; None if it did not."""
    for entry in ticket["history"]:
        if entry["stage"] == stage:
            whole, _, rest = entry["at"].rstrip("Z").partition(".")
            return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(
                "0." + (rest or "0")
            )
    return None


def story(ticket: dict) -> str:
    def moment(entry: dict) -> str:
        watcher = str(entry.get("by", "")).rpartition(":")[0].rpartition(":")[2]
        return f"{entry['stage']} {entry['at'][11:23]} {watcher}".strip()

    return " → ".join(moment(entry) for entry in ticket["history"])
