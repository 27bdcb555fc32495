"""The reckoning: what was accepted, what the panes' programs wrote down, and whether the two agree.

    1  each accepted ticket was typed once into each life of its pane at most, and once at least; a ticket may be in two
       lives only if it was acknowledged in the later one; in none only if its life ended as it was typed
    2  whole: an agent got header and body exactly; a shell got its constant command exactly
    3  tickets that are not urgent are in the order of `seq`, in each life
    4  a person's lines are as they were typed, each once; what they took back is nowhere
    5  nothing was executed, nothing came into the pane beside
"""

from __future__ import annotations

import calendar
import collections
import pathlib
import time

from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.forms import agent_text, id_words
from soak.people import Human
from soak.publishers import Publisher, ticket_of
from soak.scene import Life, Place, Scene

DYING = 3.0  # seconds before a pane's death in which what is typed may not have been read


def reckon(scene: Scene, publishers: list[Publisher], humans: list[Human]) -> list[str]:
    """Every disagreement, as a sentence; none if the account holds."""
    wrong = [f"{path} was made: something was executed" for path in scene.folder.rglob("pwned*")]
    for publisher, human in zip(publishers, humans):
        place = scene.places[publisher._agent]
        tickets = [ticket_of(scene.broker.port, ticket_id) for ticket_id in publisher.accepted]
        wrong += [f"{place.name}: {each}" for each in Book(scene.folder, place, tickets, human).wrongs()]
        beside = scene.folder / f"beside-{place.name}.log"
        if beside.exists() and beside.read_bytes():
            wrong.append(f"{place.name}: the pane beside was given {beside.read_bytes()[:200]!r}")
    return wrong


class Book:
    """One pane's account."""

    def __init__(self, folder: pathlib.Path, place: Place, tickets: list[dict], human: Human) -> None:
        self._folder, self._place, self._human = folder, place, human
        self._tickets = {expected(place, ticket): ticket for ticket in tickets}
        assert len(self._tickets) == len(tickets), "each ticket has words of its own"
        self._pages = {life.pid: self._page(life) for life in place.lives}

    def _page(self, life: Life) -> list[str]:
        """What one life of the pane was given, entry by entry."""
        if self._place.name == "agent":
            path = self._folder / f"messages.{life.pid}"
            return path.read_text("utf-8", "replace").split("\x1e")[:-1] if path.exists() else []
        path = self._folder / f"{self._place.name}.log"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == str(life.pid)]

    def wrongs(self) -> list[str]:
        return [*self._wrong_entries(), *self._wrong_counts(), *self._wrong_order(), *self._wrong_lines()]

    def _wrong_entries(self) -> list[str]:
        """Whatever is neither a ticket nor a person's line."""
        typed = {mark for _, mark, _ in self._human.lines}
        return [f"pid {pid} was given what nobody sent: {entry[:300]!r}" for pid, page in self._pages.items() for entry in page if entry not in self._tickets and entry not in typed]

    def _wrong_counts(self) -> list[str]:
        wrong = []
        for words, ticket in self._tickets.items():
            name = f"ticket {ticket['ticketId']!r} (seq {ticket['seq']})"
            lives = [life for life in self._place.lives if words in self._pages[life.pid]]
            wrong += [f"{name} is {count} times in pid {pid}: {story(ticket)}" for pid, page in self._pages.items() for count in [page.count(words)] if count > 1]
            acknowledged = moment_of(ticket, "acknowledged")
            if acknowledged is None:
                wrong.append(f"{name} is still {ticket['status']} long after the last blow: {story(ticket)}")
                continue
            wrong += [f"{name} was acknowledged before pid {life.pid} was born, and typed into it: {story(ticket)}" for life in lives if acknowledged < life.born - 0.5]
            if not lives and not self._died_with_it(ticket):
                wrong.append(f"{name} is acknowledged, and in no pane: {story(ticket)}")
        return wrong

    def _died_with_it(self, ticket: dict) -> bool:
        submitted = moment_of(ticket, "injected") or 0.0
        return any(life.doomed - DYING <= submitted <= life.died + 0.5 for life in self._place.lives)

    def _wrong_order(self) -> list[str]:
        wrong = []
        for pid, page in self._pages.items():
            order = [self._tickets[entry] for entry in page if entry in self._tickets]
            plain = [ticket for ticket in order if ticket["metadata"].get("priority") != "urgent"]
            for earlier, later in zip(plain, plain[1:]):
                if earlier["seq"] > later["seq"]:
                    wrong.append(f"order in pid {pid}: {earlier['ticketId']!r} (seq {earlier['seq']}) before {later['ticketId']!r} (seq {later['seq']}): {story(earlier)} / {story(later)}")
        return wrong

    def _wrong_lines(self) -> list[str]:
        """A line that a person entered is there once, unless the pane died of old age at that moment."""
        wrong = []
        counts = collections.Counter(entry for page in self._pages.values() for entry in page)
        for pid, mark, entered in self._human.lines:
            died = any(life.doomed - DYING <= entered <= life.died + 0.5 for life in self._place.lives)
            if counts[mark] > 1 or (not counts[mark] and not died):
                lives = [(life.pid, f"{entered - life.born:.1f} s old", f"{life.doomed - entered:.1f} s before its end") for life in self._place.lives if life.pid == pid]
                wrong.append(f"the person's line {mark!r} is {counts[mark]} times there; entered into {lives}")
        return wrong


def expected(place: Place, ticket: dict) -> str:
    """What the pane's program must write down for this ticket."""
    if place.name == "agent":
        return agent_text(Ticket.from_json(ticket), TmuxSettings.body_cap)
    return id_words(ticket["ticketId"])


def moment_of(ticket: dict, stage: str) -> float | None:
    """When the ticket came to that stage, in seconds since 1970."""
    for entry in ticket["history"]:
        if entry["stage"] == stage:
            whole, _, rest = entry["at"].rstrip("Z").partition(".")
            return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (rest or "0"))
    return None


def story(ticket: dict) -> str:
    return " → ".join(f"{entry['stage']} {entry['at'][11:23]} {str(entry.get('by', '')).rpartition(':')[0].rpartition(':')[2]}".strip() for entry in ticket["history"])
