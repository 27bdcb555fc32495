"""The state of a ticket: where it is now, and what it waits for.

Rule 1: nothing is guessed. The facts are the ticket's history, its agent's row of the
overview, and the tickets before it. Each answer below is a check of the facts, from the
certain to the likely. The first answer that applies is given.
Rule 2: a fact that the broker only has from the agent's watcher is reported as the watcher's.

    responded? expired? dropped? delivered?   finished; and whether a terminal has shown it
    set aside by its watcher?                 the watcher's reason
    claimed, under a lease?                   typed now; or why the last try failed
    is a watcher connected?                   no watcher, or never one
    does the watcher see its pane?            the pane is lost
    is it this ticket's turn?                 the tickets before it
    is the pane ready?                        the watcher's reason, and since when
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

from bridge.cli.local_time import local, read_at, since, span
from bridge.cli.self_command_words import alike
from bridge.client.observation import AgentView, WaitingReason
from bridge.self_command import own_words
from bridge.ticket import DELIVERED, DROPPED, EXPIRED, RESPONDED, Ticket

TIERS = {"sse": "an event stream", "longpoll": "long-polls", "poll": "plain polls"}


@dataclass(frozen=True)
class Moment:
    """One stage of a ticket's history."""

    stage: str
    at: str
    by: str
    evidence: object  # any JSON value; None = no evidence

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Moment:
        return cls(
            str(fields.get("stage") or "?"),
            str(fields.get("at") or ""),
            str(fields.get("by") or ""),
            fields.get("evidence"),
        )

    @property
    def place(self) -> str:
        """Of the stage `shown`: the terminal, as `show` reported it."""
        evidence = self.evidence if isinstance(self.evidence, dict) else {}
        pane, tty = evidence.get("pane"), evidence.get("tty")
        return f"in pane {pane}" if pane else f"on {tty}" if tty else "on a terminal"

    @property
    def lease_until(self) -> str:
        """Of the stage `claimed`: when its lease ends."""
        return (
            str(self.evidence.get("leaseUntilAt") or "") if isinstance(self.evidence, dict) else ""
        )


@dataclass(frozen=True)
class Before:
    """The tickets that are delivered before this one."""

    count: int = 0
    first: str = ""  # the id of the ticket whose turn it is
    is_complete: bool = True  # False: there may be more


@dataclass(frozen=True)
class Facts:
    """All facts about a ticket."""

    ticket: Ticket
    moments: tuple[Moment, ...]
    agent: AgentView | None = None  # None = the broker has no such agent
    before: Before | None = None  # None = the broker cannot search
    names: tuple[str, ...] = ()  # of the registered agents; only when no watcher is connected
    up_since: str = ""  # the broker's start; a restart forgets which watchers were connected
    tells_waiting: bool = True  # False: the broker is too old to report why a watcher waits

    def last(self, stage: str) -> Moment | None:
        return next((moment for moment in reversed(self.moments) if moment.stage == stage), None)

    @property
    def name(self) -> str:
        return self.ticket.agent_id

    @property
    def own_waiting(self) -> WaitingReason | None:
        """Why the watcher waits, if it is with this very ticket."""
        waiting = self.agent.waiting if self.agent is not None else None
        return (
            waiting if waiting is not None and waiting.ticket_id == self.ticket.ticket_id else None
        )


def find_aside(moments: Sequence[Moment]) -> Moment | None:
    """The stage at which a pending ticket was set aside, unless it was claimed again since."""
    last = next(
        (moment for moment in reversed(moments) if moment.stage in ("aside", "claimed")), None
    )
    return last if last is not None and last.stage == "aside" else None


@dataclass(frozen=True)
class TicketStatus:
    """Where a ticket is now."""

    state: str  # one word, for programs
    text: str  # one sentence, for people; not yet made visible
    since_at: str = ""
    mend: str = ""  # a command that helps


def find_status(facts: Facts, now: float) -> TicketStatus:
    """The first answer that applies."""
    for check in CHECKS:
        found = check(facts, now)
        if found is not None:
            return replace(found, text=found.text + _shown(facts, now))
    raise AssertionError("the last check always answers")


def _shown(facts: Facts, now: float) -> str:
    """The terminal that showed it last. Of no interest once the ticket has ended."""
    shown = facts.last("shown")
    if shown is None or facts.ticket.status in (RESPONDED, EXPIRED, DROPPED):
        return ""
    return f"; it was shown {shown.place} at {local(shown.at, now)}"


# Checks: each returns its answer, or None when it does not apply. `now` is the wall clock.


def _responded(facts: Facts, now: float) -> TicketStatus | None:
    if facts.ticket.status != RESPONDED:
        return None
    at = str((facts.ticket.response or {}).get("at") or facts.ticket.updated_at)
    took = (
        ""
        if facts.ticket.latency_ms is None
        else f", {span(facts.ticket.latency_ms / 1000)} after it was sent"
    )
    return TicketStatus("responded", f"{facts.name} answered it at {local(at, now)}{took}", at)


def _expired(facts: Facts, now: float) -> TicketStatus | None:
    if facts.ticket.status != EXPIRED:
        return None
    at = facts.ticket.updated_at
    why = _reason(facts, "expired") or "its sender limited its time to live (ttlMs)"
    return TicketStatus("expired", f"it expired undelivered at {local(at, now)}: {why}", at)


def _dropped(facts: Facts, now: float) -> TicketStatus | None:
    if facts.ticket.status != DROPPED:
        return None
    at = facts.ticket.updated_at
    reason = _reason(facts, "dropped")
    why = f": {reason}" if reason else ""
    return TicketStatus("dropped", f"an operator ended it undelivered at {local(at, now)}{why}", at)


def _reason(facts: Facts, stage: str) -> str:
    """The reason in the evidence of the ticket's last such stage."""
    last = facts.last(stage)
    evidence = last.evidence if last is not None else None
    reason = evidence.get("reason") if isinstance(evidence, dict) else None
    return reason if isinstance(reason, str) else ""


def _delivered(facts: Facts, now: float) -> TicketStatus | None:
    if facts.ticket.status != DELIVERED:
        return None
    arrived = facts.last("injected") or facts.last("acknowledged")
    at = arrived.at if arrived else facts.ticket.updated_at
    if not facts.ticket.expect_reply:
        return TicketStatus(
            "delivered", f"{facts.name} got it at {local(at, now)}; no reply is expected", at
        )
    seconds = read_at(at)
    has_had = "" if seconds is None else f"; {facts.name} has had it for {span(now - seconds)}"
    return TicketStatus(
        "unanswered", f"delivered at {local(at, now)} but not answered{has_had}", at
    )


def _aside(facts: Facts, now: float) -> TicketStatus | None:
    aside = find_aside(facts.moments)
    if aside is None:
        return None
    reason = aside.evidence.get("reason") if isinstance(aside.evidence, dict) else ""
    why = f": {reason}" if reason else ""
    text = f"{facts.name}'s watcher has set it aside, {since(aside.at, now)}{why}"
    return TicketStatus("aside", text, aside.at)


def _held(facts: Facts, now: float) -> TicketStatus | None:
    claim = facts.last("claimed")
    until = read_at(claim.lease_until) if claim else None
    if claim is None or until is None or until < now:
        return None
    held = f"holds it until {local(claim.lease_until, now)}"
    waiting = facts.own_waiting
    # The last try failed, or another watcher has the claim. The claim alone does not show that.
    if waiting is not None:
        text = f"{_pane_reason(facts.name, waiting, now)}; the watcher {claim.by} {held}"
        return TicketStatus("pane", text, waiting.since_at, _look(facts.agent))
    return TicketStatus("held", f"the watcher {claim.by} is about to type it, and {held}", claim.at)


def _no_watcher(facts: Facts, now: float) -> TicketStatus | None:
    if facts.agent is not None and facts.agent.is_connected:
        return None
    name, streamed = facts.name, facts.last("streamed")
    mend = f"{own_words()} watch {shlex.quote(name)} SESSION PANE"
    seen = facts.agent.last_heartbeat if facts.agent is not None else ""
    if streamed is not None:
        last = f"{_received(streamed, now)}{f', last seen {local(seen, now)}' if seen else ''}"
        return TicketStatus(
            "no-watcher", f"no watcher is connected for {name} ({last})", seen or streamed.at, mend
        )
    if name in facts.names:
        last = f"last seen {local(seen, now)}" if seen else "it is registered, but was never seen"
        return TicketStatus(
            "no-watcher", f"no watcher is connected for {name} ({last})", seen, mend
        )
    meant = alike(name, facts.names)
    guess = f"; did you mean {', '.join(meant)}?" if meant else ""
    ever = (
        f"since the broker started at {local(facts.up_since, now)}"
        if facts.up_since
        else "as far as the broker remembers"
    )
    return TicketStatus(
        "never-asked",
        f"no watcher has ever asked for the tickets of {name}, {ever}{guess}",
        facts.ticket.created_at,
        mend,
    )


def _received(streamed: Moment, now: float) -> str:
    how = TIERS.get(streamed.by, streamed.by)
    return f"one received it at {local(streamed.at, now)}{f' by {how}' if how else ''}"


def _lost(facts: Facts, now: float) -> TicketStatus | None:
    agent = facts.agent
    if agent is None or agent.health != "lost":
        return None
    where = (
        f"tmux session {agent.session}" + (f", pane {agent.pane}" if agent.pane else "")
        if agent.session
        else "its tmux session"
    )
    ago = f" {since(agent.waiting.since_at, now)}" if agent.waiting else ""
    why = f": {agent.waiting.reason}" if agent.waiting else ""
    text = (
        f"{facts.name}'s watcher is connected, but has lost its pane ({where}){ago}{why}; "
        "it keeps looking for the pane"
    )
    return TicketStatus(
        "pane-lost", text, agent.waiting.since_at if agent.waiting else "", "tmux list-panes -a"
    )


def _behind(facts: Facts, now: float) -> TicketStatus | None:
    before, agent = facts.before, facts.agent
    if before is None or not before.count:
        return None
    number = f"{before.count}{'' if before.is_complete else ' or more'}"
    count = f"{number} ticket{'s are' if before.count > 1 else ' is'} before it"
    reason = f"; {before.first} is first" if before.first else ""
    if agent is not None and agent.waiting is not None:
        reason += f" and waits: {_pane_reason(facts.name, agent.waiting, now)}"
    return TicketStatus(
        "behind",
        count + reason,
        agent.waiting.since_at if agent and agent.waiting else "",
        _look(agent),
    )


def _pane(facts: Facts, now: float) -> TicketStatus | None:
    agent = facts.agent
    if agent is None or agent.waiting is None:
        return None
    return TicketStatus(
        "pane", _pane_reason(facts.name, agent.waiting, now), agent.waiting.since_at, _look(agent)
    )


def _under_way(facts: Facts, now: float) -> TicketStatus:
    streamed, agent = facts.last("streamed"), facts.agent
    tier = agent.connection if agent is not None else "none"
    if streamed is None:
        return TicketStatus(
            "not-received",
            f"{facts.name} is connected by {TIERS.get(tier, tier)}, but has not received it yet",
            facts.ticket.created_at,
        )
    unknown = (
        "has not reported what it waits for"
        if facts.tells_waiting
        else "waits for its pane, or for its turn; this broker is too old to report which"
    )
    if agent is not None and agent.health == "busy":
        unknown = "reports that its pane is busy"
    return TicketStatus(
        "received",
        f"{facts.name}'s watcher has had it {since(streamed.at, now)} and {unknown}",
        streamed.at,
        _look(agent),
    )


CHECKS: Sequence[Callable[[Facts, float], TicketStatus | None]] = (
    _responded, _expired, _dropped, _delivered, _aside, _held,
    _no_watcher, _lost, _behind, _pane, _under_way,
)  # fmt: skip


def _pane_reason(name: str, waiting: WaitingReason, now: float) -> str:
    """The watcher's reason with its agent's name in it.

    For example: "lucy's pane is at a password prompt since 12:04:11 (3 m)".
    """
    subject, ago = "the pane ", since(waiting.since_at, now)
    text = (
        f"{name}'s pane {waiting.reason[len(subject) :]}"
        if waiting.reason.startswith(subject)
        else f"{name}'s watcher waits: {waiting.reason}"
    )
    return f"{text}{f', {ago}' if '(' in text or ':' in text else f' {ago}'}" if ago else text


def _look(agent: AgentView | None) -> str:
    if agent is None or not agent.session or not agent.pane:
        return ""
    return f"{own_words()} explain {shlex.quote(agent.session)} {shlex.quote(agent.pane)}"
