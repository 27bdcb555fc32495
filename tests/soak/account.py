"""The reckoning: what was accepted, what the panes' programs wrote down, and whether the two agree.

1  each accepted ticket came into its pane once, and not into a life that began after its acknowledgement
   - into none only where a program ended as it was typed, or where another agent had the pane to the end
   - a shell's command may be run again where nothing had told the broker that it had run
   - an agent's may stay pending where the broker was told why nothing knows what became of it: it is never typed twice
2  whole: an agent got header and body exactly; a shell got its constant command exactly
3  tickets of one agent that are not urgent, and were not set aside, are in the order of `seq`, in each life
4  a person's lines are as they were typed, each once; what they took back is nowhere
5  nothing was executed, nothing came into the pane beside
6  a shell's ticket is acknowledged only after it was shown
"""

from __future__ import annotations

import calendar
import collections
import pathlib
import time
from dataclasses import dataclass

from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.forms import agent_text, id_words
from soak.people import Human
from soak.places import COMMAND, Life, Place
from soak.publishers import Publisher, ticket_of
from soak.scene import Scene

DYING = 3.0  # seconds before a program's death in which what is typed may not have been read
UNKNOWN = ("was not seen to take it", "may have taken the text before", "it is not typed again")
AGAIN = 4.0  # seconds in which a `show` that was typed before another one had told the broker may have come up


def reckon(scene: Scene, publishers: list[Publisher], humans: list[Human]) -> list[str]:
    """Every disagreement, as a sentence; none if the account holds."""
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
    """What a program wrote down of one Enter."""

    words: str
    at: float  # seconds since 1970; 0.0 where it was not written down


class Book:
    """One pane's account. `refused`: agents whose tickets need not come in."""

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
        assert len(self._tickets) == len(tickets), "each ticket has words of its own"
        self._pages = {life.pid: self._page(life) for life in place.programs}

    def _page(self, life: Life) -> list[Entry]:
        """What one life of the pane was given, entry by entry."""
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
        """Whatever is neither a ticket nor a person's line."""
        typed = {mark for _, mark, _ in self._human.lines}
        return [
            f"pid {pid} was given what nobody sent: {entry.words[:300]!r}"
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
                        f"{name} is still {ticket['status']} long after the last blow: {story(ticket)}"
                    )
                continue
            wrong += [
                f"{name} was acknowledged before pid {life.pid} was born, and typed into it: {story(ticket)}"
                for life in lives
                if acknowledged < life.born - 0.5
            ]
            is_dead = any(
                self._died_with_it(moment_of(ticket, stage) or 0.0)
                for stage in ("injected", "acknowledged")
            )
            if (
                not lives and not is_dead
            ):  # a swallowed Enter is pressed again later than it was `injected`
                wrong.append(f"{name} is acknowledged, and in no pane: {story(ticket)}")
            shown = moment_of(ticket, "shown")
            if not self._place.is_agent and (shown is None or shown > acknowledged):
                wrong.append(f"{name} is acknowledged, and was not shown before: {story(ticket)}")
        return wrong

    def _why_too_often(self, entries: list[Entry], ticket: dict) -> str:
        """Of one life; "" where it is not too often."""
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
        """Was it typed into an agent, and the broker told that what became of it is not known?"""
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
                            f"order in pid {pid}: {earlier['ticketId']!r} (seq {earlier['seq']}) before {later['ticketId']!r} (seq {later['seq']}): {story(earlier)} / {story(later)}"
                        )
        return wrong

    def _wrong_lines(self) -> list[str]:
        """A line that a person entered is there once, unless a program died at that moment."""
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
                    f"the person's line {mark!r} is {counts[mark]} times there; entered into {lives}"
                )
        return wrong


def expected(place: Place, ticket: dict) -> str:
    """What the pane's program must write down for this ticket."""
    if place.is_agent:
        return agent_text(
            Ticket.from_json(ticket), TmuxSettings.body_cap, COMMAND, place.has_shell_below
        )
    return id_words(ticket["ticketId"])


def moment_of(ticket: dict, stage: str) -> float | None:
    """When the ticket came to that stage, in seconds since 1970."""
    for entry in ticket["history"]:
        if entry["stage"] == stage:
            whole, _, rest = entry["at"].rstrip("Z").partition(".")
            return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(
                "0." + (rest or "0")
            )
    return None


def story(ticket: dict) -> str:
    return " → ".join(
        f"{entry['stage']} {entry['at'][11:23]} {str(entry.get('by', '')).rpartition(':')[0].rpartition(':')[2]}".strip()
        for entry in ticket["history"]
    )
