"""Each interleaving of two dependent changes, a send beside them, and a commit that fails.

    the first change is decided, then in any order:
        the second is decided - a send comes - the loop runs - the writer fails - the writer writes

A send can make an open group leave before the loop learns of a failure (group_commit.py). So the
second change may be with the writer already. The model is the one of test_store_laws. A change
with a 2xx response is there, also after the store is reopened. A change with a 503 is not there.
"""

from __future__ import annotations

import itertools

import pytest

from broker.test_store_laws import StoreMachine

EVENTS = ["second", "send", "turn", "fail", "write"]
# The first change must be with the writer before the writer can fail.
ORDERS = [
    order for order in itertools.permutations(EVENTS) if order.index("turn") < order.index("fail")
]
PAIRS = {
    "reply, acknowledge": (
        lambda its, ticket, agent: its.reply(ticket, 1),
        lambda its, ticket, agent: its.acknowledge(ticket, "w1", "seen"),
    ),
    "acknowledge, reply": (
        lambda its, ticket, agent: its.acknowledge(ticket, "w1", "seen"),
        lambda its, ticket, agent: its.reply(ticket, 1),
    ),
    "claim, acknowledge": (
        lambda its, ticket, agent: its.claim(ticket, "w1"),
        lambda its, ticket, agent: its.acknowledge(ticket, "w1", "seen"),
    ),
    "claim, claim of another": (
        lambda its, ticket, agent: its.claim(ticket, "w1"),
        lambda its, ticket, agent: its.claim(ticket, "w2"),
    ),
    "send, the same again": (
        lambda its, ticket, agent: its.send("ann", "bob", f"{ticket}-more", 1),
        lambda its, ticket, agent: its.send("ann", "bob", f"{ticket}-more", 1),
    ),
    "register, register more": (
        lambda its, ticket, agent: its.register(agent, "a"),
        lambda its, ticket, agent: its.register(agent, "b"),
    ),
    "register, remove": (
        lambda its, ticket, agent: its.register(agent, "a"),
        lambda its, ticket, agent: its.remove(agent),
    ),
    "subscribe, give up": (
        lambda its, ticket, agent: its.subscribe(agent, True),
        lambda its, ticket, agent: its.subscribe(agent, False),
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_no_change_is_kept_that_rests_on_a_failed_one(pair):
    machine, (first, second) = StoreMachine(), PAIRS[pair]
    try:
        machine.register("bob", "a")  # an origin: replies become tickets to it
        for number, order in enumerate(ORDERS):
            ticket, agent = f"mine-{number}", f"agent-{number}"
            machine.send("ann", "bob", ticket, 1)
            machine.everything_is_heard()
            first(machine, ticket, agent)
            for event in order:
                happen(machine, event, lambda: second(machine, ticket, agent), f"{ticket}-last")
            machine.everything_is_heard()
            machine.what_is_shown_is_what_was_answered()
            machine.what_was_answered_is_on_disk_and_what_was_refused_is_not()
        machine.close()
        machine.open()
        machine.what_is_shown_is_what_was_answered()
    finally:
        machine.close()
        machine.loop.close()
        machine.folder.cleanup()


def happen(machine, event, second, name) -> None:
    has_work = not machine.journal.writer._jobs.empty()
    if event == "second":
        second()
    elif event == "send":
        machine.send("ann", "bob", name, 1)
    elif event == "turn":
        machine.turn()
    elif has_work and event == "fail":
        machine.writer_is_refused(step=1, is_once=False)
    elif has_work:
        machine.writer_writes()
