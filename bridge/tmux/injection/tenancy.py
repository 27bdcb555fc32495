"""One pane, one agent: which agent has a pane, and may another one have it, too?

A user option of the pane names the agents that are typed for, each with its process:

    @bridge_watcher   'lucy=4711.88612'    agent = process id . its start (proc(5) stat, field 22)

It is read, and then replaced in one step inside tmux ("set it if it is still what I read"). So two
watchers that start at once cannot both find the pane free. An entry of a process that has ended is
recognised by its id and start; it is ignored and replaced. At the end a watcher removes its entry.

    the same agent, another process    allowed: claims keep two watchers of one agent apart
    another agent, another process     refused, always: two processes have no common turn
    another agent, this process        refused, unless the agents share their panes (--share-pane)

Agents that share a pane share one turn. A delivery holds it from the claim of a ticket until its
acknowledgement is complete. So one pane never owes more than one acknowledgement, and its marks
(pane_marks.py) hold enough tickets. Turns are granted in the order of the requests. A delivery that
fails gives its turn back.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Callable
from weakref import WeakValueDictionary

from bridge.errors import PaneLost, PaneUnfit, TmuxError
from bridge.fifo_semaphore import FifoSemaphore
from bridge.tmux.injection.conditional import DONE, NOT_DONE
from bridge.tmux.injection.pane_marks import mark_of
from bridge.tmux.readiness.observer import Lister
from bridge.tmux.readiness.terminal import is_alive, process_name
from bridge.tmux.server.client import LOST, Tmux
from bridge.tmux.server.identity import Listing, Pane

OPTION = "@bridge_watcher"
# How often another watcher may be quicker. Each of them has then registered itself, so the number
# of further conflicts falls.
TRIES = 10
_ENTRY = re.compile(r"([\w+-]+)=([1-9]\d*)\.(\d+)", re.ASCII)


@dataclass(frozen=True)
class Tenant:
    """One agent that is typed for, and the process that types."""

    mark: str  # of the agent's name, as pane_marks.py writes it
    process: str  # "4711.88612"

    def __str__(self) -> str:
        return f"{self.mark}={self.process}"

    @property
    def agent(self) -> str:
        """Its name, for error texts."""
        if not self.mark.startswith("+"):
            return self.mark
        padded = self.mark[1:] + "=" * (-len(self.mark[1:]) % 4)
        return base64.urlsafe_b64decode(padded).decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        return int(self.process.partition(".")[0])


def read_tenants(text: str) -> list[Tenant]:
    """The tenants in the option's value; other words in it are skipped."""
    matches = [_ENTRY.fullmatch(word) for word in text.split()]
    return [Tenant(match[1], f"{match[2]}.{match[3]}") for match in matches if match]


Held = Callable[[], Iterable[str]]  # the tickets that a watcher holds, by id


class PaneTurns:
    """One turn for each shared pane; dropped while no agent holds it or waits for it."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[tuple[int, int, str], FifoSemaphore] = (
            WeakValueDictionary()
        )
        self.holders: dict[str, Held] = {}  # agent -> the tickets that it holds

    def of(self, pane: Pane | None) -> FifoSemaphore:
        """Held with `async with`. Without a pane it is a turn that no other agent shares."""
        return (
            FifoSemaphore(1) if pane is None else self._turns.setdefault(pane.key, FifoSemaphore(1))
        )


class Tenancy:
    """One agent's view of the panes. It registers at the pane that it finds, and unregisters."""

    def __init__(
        self, agent: str, tmux: Tmux, pane_list: Lister, turns: PaneTurns | None = None
    ) -> None:
        self._tmux = tmux
        self._pane_list = pane_list
        self._turns = turns  # None: this agent shares its pane with no other
        self._tenant = Tenant(mark_of(agent), process_name(os.getpid()))
        self._holders: dict[str, Held] = turns.holders if turns is not None else {}
        self._taken: dict[tuple[int, int, str], Pane] = {}
        self._pane: Pane | None = None  # the one that was taken last

    async def recent(self) -> Listing:
        return await self._pane_list.recent()

    async def confirm(self, pane: Pane) -> Listing:
        return await self._pane_list.confirm(pane)

    def forget(self) -> None:
        self._pane_list.forget()

    def hold(self, held: Held) -> None:
        """Set the source of the tickets that the agent holds. The pane must keep their marks."""
        self._holders[self._tenant.mark] = held

    def held(self) -> set[str]:
        """The ids of these tickets, and of those of the agents that share its pane."""
        return {ticket for held in self._holders.values() for ticket in held()}

    def turn(self) -> FifoSemaphore:
        """A delivery holds it from a claim to its acknowledgement."""
        return self._turns.of(self._pane) if self._turns is not None else FifoSemaphore(1)

    async def take(self, pane: Pane) -> None:
        """Raises PaneUnfit when the pane is another agent's, PaneLost, TmuxError."""
        for _ in range(TRIES):
            text = await self._read(pane)
            others = [one for one in self._living(text) if one != self._tenant]
            self._check(pane, others)
            self._taken[pane.key] = pane  # first, so that every entry is removed in the end
            is_registered = self._tenant in read_tenants(text)
            if is_registered or await self._replace(pane, text, [*others, self._tenant]):
                self._pane = pane
                return
        raise PaneUnfit(f"pane {pane.label} changes its watchers repeatedly")

    async def leave(self) -> None:
        """Remove all our entries. A pane that is gone has no option any more."""
        self._holders.pop(self._tenant.mark, None)
        while self._taken:
            _, pane = self._taken.popitem()
            try:
                await self._give_back(pane)
            except (PaneLost, TmuxError):
                continue

    async def _give_back(self, pane: Pane) -> None:
        for _ in range(TRIES):
            text = await self._read(pane)
            others = [one for one in self._living(text) if one != self._tenant]
            if self._tenant not in read_tenants(text) or await self._replace(pane, text, others):
                return

    def _living(self, text: str) -> list[Tenant]:
        return [one for one in read_tenants(text) if is_alive(one.process)]

    def _check(self, pane: Pane, others: list[Tenant]) -> None:
        for other in others:
            is_here = other.process == self._tenant.process
            if other.mark == self._tenant.mark or is_here and self._turns is not None:
                continue
            whose = f"pane {pane.label} has agent {other.agent!r} already"
            if is_here:
                way_out = "give each agent a pane of its own, or ask for it (--share-pane)"
                raise PaneUnfit(f"{whose}, and takes one only: {way_out}")
            way_out = "stop that one, or have one `supervise --share-pane` serve both"
            raise PaneUnfit(f"{whose}, typed for by process {other.pid}: {way_out}")

    async def _read(self, pane: Pane) -> str:
        where = f"#{{pid}} #{{start_time}} #{{pane_id}} #{{{_option(pane)}}}"
        output = await _of_pane(
            pane, self._tmux.query("display-message", "-p", "-t", pane.pane_id, where)
        )
        *key, text = output.rstrip("\n").split(" ", 3)
        if key != [str(pane.server_pid), str(pane.start_time), pane.pane_id]:
            # The pane is gone: display-message then prints the state of another one.
            raise PaneLost(f"pane {pane.label} is gone")
        return text

    async def _replace(self, pane: Pane, old: str, tenants: list[Tenant]) -> bool:
        """Set the option, if its value is still `old`; False when it is not."""
        value = " ".join(map(str, tenants))
        scope = f"-p -t {pane.pane_id}" if pane.per_pane else "-g"
        change = f'{scope} {_option(pane)} "{value}"' if value else f"{scope} -u {_option(pane)}"
        escaped = re.sub(r"([#,}])", r"#\1", old)  # these end a format's argument
        condition = f"#{{==:#{{{_option(pane)}}},{escaped}}}"
        steps = [f"set-option {change} ; {DONE}", NOT_DONE]
        output = await _of_pane(
            pane,
            self._tmux.run_guarded("if-shell", "-F", "-t", pane.pane_id, condition, *steps),
        )
        return "OK" in output.split()


async def _of_pane(pane: Pane, output: Awaitable[str]) -> str:
    """The output of a command on this pane. Raises PaneLost, TmuxError."""
    try:
        return await output
    except TmuxError as error:
        if LOST.search(str(error)):
            raise PaneLost(f"pane {pane.label} is gone ({error})") from error
        raise


def _option(pane: Pane) -> str:
    """The option's name. Before tmux 3.0 it is a global one that carries the pane's number."""
    return OPTION if pane.per_pane else f"{OPTION}_{pane.pane_id.lstrip('%')}"
