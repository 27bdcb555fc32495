"""Handlers, ledger and a real store, with failures at any point, against a naive model.

The model holds requests and responses only. A 2xx response has its effect, in the order of the
responses. Any other response has no effect. The broker shows the model's state at every moment.
The store holds the model's state whenever all groups are settled. After a crash it also holds what
the writer has written but not yet reported.

The test runs the writer's jobs itself, so that a group is written, fails and is reported in any
interleaving. Each failure is one of SQLite. Its authorizer refuses the nth action, once or from
then on, and the commit and the rollback are actions too. Or no page is left, in the middle of a
statement. (An interrupt is not usable: SQLite may report one after the commit.)
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_clock import VirtualLoop

from bridge.broker.answers import OnDisk, problem
from bridge.broker.journal.sqlite import SqliteJournal
from bridge.broker.opening import take_over_store
from bridge.broker.routes import dispatch
from bridge.errors import PeerError, RequestError
from bridge.wire.request import Limits, RequestParser
from broker.small_server import make_services
from broker.talk import request

AGENTS, WATCHERS = ["ann", "bob"], ["w1", "w2"]
agents, watchers = st.sampled_from(AGENTS), st.sampled_from(WATCHERS)
KINDS = ["send", "again", "claim", "acknowledge", "reply", "register", "remove", "subscribe"]
BIG = "x" * 9000  # more than a page


class Model:
    """The state that the responses promise."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict] = {}  # id -> agent, status, watcher, response
        self.answered: list[str] = []  # tickets whose reply became a ticket to the origin
        self.agents: dict[str, dict] = {}  # id -> merged metadata
        self.subscriptions: set[tuple[str, str]] = set()

    def shown(self) -> tuple:
        tickets = {name: tuple(each.values()) for name, each in self.tickets.items()}
        return tickets, sorted(self.answered), self.agents, self.subscriptions


def _sent_id(content) -> str:
    """The ticket's id if the request is a send, else ""."""
    return content.get("ticketId", "") if content and "metadata" in content else ""


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.folder = tempfile.TemporaryDirectory()
        self.model, self.numbers = Model(), itertools.count(1)
        self.refused: set[str] = set()  # own ids whose last answer was 503
        self.run = 0
        self.open()

    def teardown(self) -> None:
        self.everything_is_heard()
        self.close()
        self.loop.close()
        self.folder.cleanup()

    def open(self) -> None:
        self.run += 1
        # (commit, effect, id if it is a send) of each request without a response
        self.on_way: list = []
        self.written: set = set()  # commits that the writer has put on disk

        async def make():
            return SqliteJournal(os.path.join(self.folder.name, "a.db"), start=lambda writer: None)

        journal = self.journal = self.loop.run_until_complete(make())
        self.services = make_services(self.loop, journal)
        take_over_store(self.services)
        heard = journal.writer._report

        def report(group, error):
            if error is None:
                self.written.add(group.commit)
            heard(group, error)

        journal.writer._report = report

    def close(self) -> None:
        self.journal.writer.start()
        self.loop.run_until_complete(self.journal.aclose())

    # -- requests -----------------------------------------------------------------

    def ask(self, method, path, content, effect, after=()):
        """Send a request and apply its response to the model. `after` are pipelined behind it."""
        parser = RequestParser(Limits())
        parser.feed(request(method, path, content))
        try:
            answer = dispatch(parser.take_request(), self.services)
        except (RequestError, PeerError) as error:
            answer = problem(error)
        if not isinstance(answer, OnDisk) or answer.commit is None:
            reply = answer.reply if isinstance(answer, OnDisk) else answer
            self.answered(reply.status, effect, content)
            self.go_on(after)
            return
        effect_if_kept = effect if answer.reply.status < 300 else None
        coming = (answer.commit, effect_if_kept, _sent_id(content))
        self.on_way.append(coming)
        run = self.run

        def settled(commit):
            if run != self.run:
                return  # this broker has crashed, and its peer gets no response
            self.on_way.remove(coming)
            self.answered(answer.reply.status if commit.result() is None else 503, effect, content)
            self.go_on(after)

        answer.commit.add_done_callback(settled)

    def go_on(self, after):
        if after:
            after[0](after[1:])

    def answered(self, status, effect, content):
        assert status in (200, 202, 204, 404, 409, 503), status
        if status < 300:
            effect(self.model)
        ticket_id = _sent_id(content)
        # Another send of the id may be on its way: then its response decides.
        if ticket_id and not any(sent == ticket_id for *_, sent in self.on_way):
            (self.refused.add if status == 503 else self.refused.discard)(ticket_id)

    def send(self, agent, origin, ticket_id, size, after=()):
        def effect(model):
            new = {"agent": agent, "status": "pending", "watcher": None, "response": None}
            model.tickets.setdefault(ticket_id, new)

        content = {"payload": "x" * size, "ticketId": ticket_id, "metadata": {"origin": origin}}
        self.refused.discard(ticket_id)  # until the next response it may be there or not
        self.ask("POST", f"/agents/{agent}/send", content, effect, after)

    def claim(self, ticket_id, watcher, after=()):
        def effect(model):
            model.tickets[ticket_id]["watcher"] = watcher

        self.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": watcher}, effect, after)

    def acknowledge(self, ticket_id, watcher, evidence, after=()):
        def effect(model):
            ticket = model.tickets[ticket_id]
            if ticket["status"] == "pending":
                ticket.update(status="delivered", watcher=None)

        content = {"watcher": watcher, "evidence": {"how": evidence}}
        self.ask("POST", f"/tickets/{ticket_id}/acknowledge", content, effect, after)

    def reply(self, ticket_id, size, after=()):
        payload = f"{next(self.numbers)}" + "x" * size
        entry = self.services.ledger.find(ticket_id)
        returns = entry and entry.decoded()["originAgent"] in self.services.registry.agents

        def effect(model):
            model.tickets[ticket_id].update(status="responded", watcher=None, response=payload)
            model.answered += [ticket_id] if returns else []

        self.ask("POST", "/replies", {"ticketId": ticket_id, "payload": payload}, effect, after)

    def register(self, agent, key, after=()):
        value = next(self.numbers)

        def effect(model):
            model.agents[agent] = {**model.agents.get(agent, {}), key: value}

        content = {"agentId": agent, "metadata": {key: value}}
        self.ask("POST", "/agents/register", content, effect, after)

    def remove(self, agent, after=()):
        def effect(model):
            model.agents.pop(agent, None)

        self.ask("DELETE", f"/agents/{agent}", None, effect, after)

    def subscribe(self, agent, is_new, after=()):
        def effect(model):
            (model.subscriptions.add if is_new else model.subscriptions.discard)(("sup", agent))

        if is_new:
            path, content = f"/agents/{agent}/subscribe", {"subscriber": "sup"}
            self.ask("POST", path, content, effect, after)
        else:
            path = f"/agents/{agent}/subscribe?subscriber=sup"
            self.ask("DELETE", path, None, effect, after)

    # -- steps --------------------------------------------------------------------

    @rule(data=st.data(), count=st.integers(1, 4))
    def peer_asks(self, data, count):
        """A peer pipelines `count` requests. Each begins after the response to the one before."""
        steps = [self.draw_step(data) for _ in range(count)]
        self.go_on(steps)

    def draw_step(self, data):
        draw = data.draw
        ids = sorted({*self.model.tickets, *self.refused, "mine-1"})
        size = draw(st.sampled_from([1, len(BIG)]))
        kind = draw(st.sampled_from(KINDS))
        agent, watcher, ticket_id = draw(agents), draw(watchers), draw(st.sampled_from(ids))
        if kind == "send":
            name, origin = f"mine-{next(self.numbers)}", draw(agents)
            return lambda after: self.send(agent, origin, name, size, after)
        if kind == "again":  # one id and one body in the whole run
            return lambda after: self.send("ann", "bob", "mine-again", 1, after)
        if kind == "claim":
            return lambda after: self.claim(ticket_id, watcher, after)
        if kind == "acknowledge":
            return lambda after: self.acknowledge(ticket_id, watcher, "x" * size, after)
        if kind == "reply":
            return lambda after: self.reply(ticket_id, size, after)
        if kind == "register":
            key = draw(st.sampled_from(["a", "b"]))
            return lambda after: self.register(agent, key, after)
        if kind == "remove":
            return lambda after: self.remove(agent, after)
        is_new = draw(st.booleans())
        return lambda after: self.subscribe(agent, is_new, after)

    @rule()
    def turn(self):
        """One iteration of the loop: an open group leaves, and the writer's reports arrive."""
        self.loop.run_until_complete(asyncio.sleep(0))

    @precondition(lambda self: not self.journal.writer._jobs.empty())
    @rule()
    def writer_writes(self):
        self.journal.writer.take()

    @precondition(lambda self: not self.journal.writer._jobs.empty())
    @rule(step=st.integers(1, 14), is_once=st.booleans())
    def writer_is_refused(self, step, is_once):
        steps = itertools.count(1)

        def judge(*_):
            now = next(steps)
            is_bad = now == step if is_once else now >= step
            return sqlite3.SQLITE_DENY if is_bad else sqlite3.SQLITE_OK

        connection = self.journal.writer._connection
        connection.set_authorizer(judge)
        self.journal.writer.take()
        connection.set_authorizer(lambda *_: sqlite3.SQLITE_OK)

    @precondition(lambda self: not self.journal.writer._jobs.empty())
    @rule()
    def writer_finds_no_page(self):
        connection = self.journal.writer._connection
        (most,) = connection.execute("PRAGMA max_page_count").fetchone()
        # SQLite uses the current size if the store is larger.
        connection.execute("PRAGMA max_page_count = 1")
        self.journal.writer.take()
        connection.execute(f"PRAGMA max_page_count = {most}")

    @rule()
    def everything_is_heard(self):
        for _ in range(200):
            while not self.journal.writer._jobs.empty():
                self.journal.writer.take()
            self.turn()
            if not self.on_way and self.journal._groups._open is None:
                break
        assert not self.on_way, "a response is missing"
        assert self.stored() == self.model.shown()

    @rule()
    def crash(self):
        """A crash keeps what was written, with or without a response, and nothing else."""
        for commit, effect, _ in self.on_way:
            if commit in self.written and effect is not None:
                effect(self.model)
        stored = self.stored()
        assert stored == self.model.shown()
        self.journal._reader.close()
        self.journal.writer._connection.close()
        os.close(self.journal._lock)
        self.refused.clear()
        self.open()

    # -- laws ---------------------------------------------------------------------

    @invariant()
    def what_is_shown_is_what_was_answered(self):
        self.shown_is(self.model)

    def shown_is(self, model):
        registry, ledger = self.services.registry, self.services.ledger
        shown = {name: agent.metadata for name, agent in registry.agents.items()}
        assert shown == model.agents
        subscribed = self.services.subscriptions.agents("sup")
        assert {("sup", agent) for agent in subscribed} == model.subscriptions
        for ticket_id, its in model.tickets.items():
            entry = ledger.get(ticket_id)
            assert self.looks(entry) == tuple(its.values())
        for ticket_id in self.refused - model.tickets.keys():
            assert ledger.find(ticket_id) is None
        for agent in AGENTS:
            held = [entry.ticket_id for entry in self.services.hub.read(agent, 0, 10**6)]
            named = [name for name in held if name.startswith("mine")]
            its = {name: each for name, each in model.tickets.items() if each["agent"] == agent}
            pending = [name for name, each in its.items() if each["status"] == "pending"]
            assert sorted(named) == sorted(pending)

    @invariant()
    def what_was_answered_is_on_disk_and_what_was_refused_is_not(self):
        rows = {row[0] for row in self.journal._reader.execute("SELECT id FROM tickets")}
        assert self.model.tickets.keys() <= rows
        assert not rows & (self.refused - self.model.tickets.keys())

    @staticmethod
    def looks(entry) -> tuple:
        state = entry.state
        response = state.response["payload"] if state.response else None
        return entry.agent_id, state.status, state.claim.watcher if state.claim else None, response

    def stored(self) -> tuple:
        """Return what a broker would find if it opened the store now."""
        find, ask = self.journal.find, self.journal._reader.execute
        entries = [find(name) for (name,) in ask("SELECT id FROM tickets ORDER BY seq")]
        sent = [entry for entry in entries if entry.ticket_id.startswith("mine")]
        tickets = {entry.ticket_id: self.looks(entry) for entry in sent}
        replies = [entry.decoded() for entry in entries if entry not in sent]
        answered = sorted(fields["metadata"]["replyTo"] for fields in replies)
        records = ask("SELECT id, record FROM agents")
        registered = {name: json.loads(record)["metadata"] for name, record in records}
        subscriptions = set(ask("SELECT subscriber, agent FROM subscriptions"))
        return tickets, answered, registered, subscriptions


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=40)
