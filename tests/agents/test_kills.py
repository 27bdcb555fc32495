"""kill -9 of the watcher or of the agent: no ticket is executed, lost or delivered twice."""

from __future__ import annotations

import os
import re
import signal

from panes import until
from processes import foreground
from stage import ARRIVAL, until_or_say

# ms. The first is the pause between the paste and its Enter, and after the Enter. The second is how
# long a killed watcher still has its ticket.
HELD = {"BRIDGE_SETTLE": 2000, "BRIDGE_LEASE": 3000}
BODY = "touch executed-1\n$(touch executed-2)\n; touch executed-3\n`touch executed-4`"


def executed(seat) -> list:
    return list(seat.work.rglob("executed*"))


def test_a_ticket_arrives_once_if_the_watcher_is_killed_between_paste_and_enter(seat):
    watcher = seat.watch(**HELD)
    ticket = seat.send("a peer's word")
    seat.wait_shown(f"{re.escape(ticket)}|[Pp]aste")
    watcher.kill()
    assert seat.count(ticket) == 0 and seat.ticket(ticket)["status"] == "pending"
    seat.watch(BRIDGE_LEASE=1000)
    seat.wait_delivered(ticket, more=15)  # the dead watcher's lease must end first
    after = seat.send("the next one")
    seat.wait_delivered(after)
    assert (seat.count(ticket), seat.count(after)) == (1, 1)


def test_a_ticket_arrives_once_if_the_watcher_is_killed_after_enter(seat):
    watcher = seat.watch(**HELD)
    ticket = seat.send("a peer's word")
    until_or_say(lambda: seat.count(ticket), "the message at the model", ARRIVAL, seat)
    watcher.kill()
    seat.watch(BRIDGE_LEASE=1000)
    seat.wait_delivered(ticket, more=15)
    after = seat.send("the next one")
    seat.wait_delivered(after)
    assert (seat.count(ticket), seat.count(after)) == (1, 1)


def test_a_text_in_the_input_of_a_killed_agent_is_not_run_and_arrives_at_the_next_one(seat):
    seat.watch("--form", "agent", **HELD)
    ticket = seat.send(BODY)
    seat.wait_shown(f"{re.escape(ticket)}|[Pp]aste")
    assert seat.count(ticket) == 0
    kill_agent(seat)
    seat.wait_explained(ticket)
    assert not executed(seat), seat.tell("the shell executed a body")
    seat.pane.keys("C-c")  # clear the shell's line
    seat.again()
    seat.wait_delivered(ticket, more=15)
    assert seat.count(ticket) == 1 and not executed(seat)


def test_waiting_tickets_arrive_after_an_agent_was_killed_at_work_and_started_again(seat):
    seat.watch("--form", "agent")
    seat.submit("STUB-SLOW-20 please")
    seat.wait_at_model("STUB-SLOW-20")
    tickets = [seat.send(BODY), seat.send("the second")]
    seat.wait_explained(tickets[0])
    kill_agent(seat)
    assert not executed(seat), seat.tell("the shell executed a body")
    seat.pane.keys("C-c")
    seat.again()
    for ticket in tickets:
        seat.wait_delivered(ticket)
        assert seat.count(ticket) == 1
    assert not executed(seat)


def kill_agent(seat) -> None:
    """Kill the agent's whole process group with SIGKILL, so that it cannot restore its terminal."""
    group, shell = foreground(seat.pane), int(seat.pane.get("pane_pid"))
    assert group != shell, "the agent is the pane's own process"
    os.killpg(group, signal.SIGKILL)
    until(lambda: foreground(seat.pane) == shell, "the shell in the foreground")
