"""The state of a ticket, as a table of facts and sentences."""

from __future__ import annotations

import time

import pytest

from bridge.cli.commands.why import describe_ticket
from bridge.cli.safe_text import one_line
from bridge.cli.ticket_status import Before, Facts, Moment, find_status
from bridge.client.observation import AgentView, WaitingReason
from bridge.self_command import own_words
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339

NOW = time.mktime((2026, 11, 22, 12, 7, 31, 0, 0, -1))  # 12:07:31 on the local clock


def at(seconds_ago: float) -> str:
    return rfc3339(int((NOW - seconds_ago) * 1000))


def moment(stage: str, seconds_ago: float, by: str = "", **evidence: object) -> Moment:
    return Moment(stage, at(seconds_ago), by, evidence)


def facts(*moments: Moment, status: str = "pending", agent=None, **more) -> Facts:
    fields = {
        name: more.pop(name) for name in ("expect_reply", "response", "latency_ms") if name in more
    }
    ticket = Ticket(
        "T9",
        9,
        "lucy",
        "do it",
        status=status,
        created_at=at(300),
        updated_at=at(100),
        origin="max",
        **fields,
    )
    return Facts(ticket, (moment("accepted", 300), *moments), agent, **more)


ASKED = WaitingReason("the pane is at a password prompt", at(200), "T9")
ASKED_WITH_WHY = WaitingReason("the pane is at a password prompt (echo is off)", at(200), "T9")
STREAMED = moment("streamed", 250, "sse")
HERE = AgentView("lucy", connection="sse", status="online", session="dev lucy", pane="0")


def here(**fields) -> AgentView:
    return AgentView(
        "lucy",
        **{"connection": "sse", "status": "online", "session": "dev-lucy", "pane": "0", **fields},
    )


@pytest.mark.parametrize(
    "given, state, text",
    [
        (
            facts(status="responded", response={"at": at(60)}, latency_ms=240_000),
            "responded",
            "lucy answered it at 12:06:31, 4 m after it was sent",
        ),
        (
            facts(moment("expired", 100), status="expired"),
            "expired",
            "it expired undelivered at 12:05:51: its sender limited its time to live (ttlMs)",
        ),
        (
            facts(moment("expired", 100, reason="no agent of that name"), status="expired"),
            "expired",
            "it expired undelivered at 12:05:51: no agent of that name",
        ),
        (
            facts(
                moment("dropped", 100, reason="a slip"), moment("acknowledged", 9), status="dropped"
            ),
            "dropped",
            "an operator ended it undelivered at 12:05:51: a slip",
        ),
        (
            facts(moment("injected", 180), moment("acknowledged", 170), status="delivered"),
            "unanswered",
            "delivered at 12:04:31 but not answered; lucy has had it for 3 m",
        ),
        (
            facts(moment("acknowledged", 180), status="delivered", expect_reply=False),
            "delivered",
            "lucy got it at 12:04:31; no reply is expected",
        ),
        (
            facts(
                moment("shown", 181, pane="%3", tty="/dev/pts/7"),
                moment("acknowledged", 180),
                status="delivered",
                expect_reply=False,
            ),
            "delivered",
            "lucy got it at 12:04:31; no reply is expected; it was shown in pane %3 at 12:04:30",
        ),
        (
            facts(
                STREAMED,
                moment("shown", 100, pane="%3"),
                moment("shown", 90, tty="/dev/pts/7"),
                agent=here(),
            ),
            "received",
            "lucy's watcher has had it since 12:03:21 (4 m 10 s) and has not reported what it "
            "waits for; it was shown on /dev/pts/7 at 12:06:01",
        ),
        (
            facts(
                STREAMED,
                moment("claimed", 100, "box:7"),
                moment(
                    "aside",
                    50,
                    "box:7",
                    reason="given up after 10 tries: `exit 3` ended with exit status 3",
                ),
                agent=here(),
            ),
            "aside",
            "lucy's watcher has set it aside, since 12:06:41 (50 s): given up after 10 tries: "
            "`exit 3` ended with exit status 3",
        ),
        (
            facts(
                moment("aside", 50, "box:7", reason="x"),
                moment("claimed", 5, "box:8", leaseUntilAt=at(-10)),
                agent=here(),
            ),
            "held",
            "the watcher box:8 is about to type it, and holds it until 12:07:41",
        ),
        (
            facts(
                moment("claimed", 17, "box:7", leaseUntilAt=at(-10)),
                agent=here(
                    waiting=WaitingReason("`exit 3` ended with exit status 3", at(16), "T9")
                ),
            ),
            "pane",
            "lucy's watcher waits: `exit 3` ended with exit status 3, since 12:07:15 (16 s); "
            "the watcher box:7 holds it until 12:07:41",
        ),
        (
            facts(moment("claimed", 5, "box:7", leaseUntilAt=at(-10)), agent=here()),
            "held",
            "the watcher box:7 is about to type it, and holds it until 12:07:41",
        ),
        (
            facts(names=("lucia", "max")),
            "never-asked",
            "no watcher has ever asked for the tickets of lucy, as far as the broker remembers; "
            "did you mean lucia?",
        ),
        (
            facts(up_since=at(3600)),
            "never-asked",
            "no watcher has ever asked for the tickets of lucy, since the broker started at "
            "11:07:31",
        ),
        (
            facts(names=("lucy",)),
            "no-watcher",
            "no watcher is connected for lucy (it is registered, but was never seen)",
        ),
        (
            facts(agent=AgentView("lucy", last_heartbeat=at(90_000)), names=("lucy",)),
            "no-watcher",
            "no watcher is connected for lucy (last seen 2026-11-21 11:07:31)",
        ),
        (
            facts(STREAMED, agent=AgentView("lucy", last_heartbeat=at(60))),
            "no-watcher",
            "no watcher is connected for lucy (one received it at 12:03:21 by an event stream, "
            "last seen 12:06:31)",
        ),
        (
            facts(
                STREAMED,
                agent=here(health="lost", waiting=WaitingReason("no session dev-lucy", at(200))),
            ),
            "pane-lost",
            "lucy's watcher is connected, but has lost its pane (tmux session dev-lucy, pane 0) "
            "since 12:04:11 (3 m 20 s): no session dev-lucy; it keeps looking for the pane",
        ),
        (
            facts(agent=here(health="lost", session="")),
            "pane-lost",
            "lucy's watcher is connected, but has lost its pane (its tmux session); "
            "it keeps looking for the pane",
        ),
        (
            facts(STREAMED, agent=here(), before=Before(1, "T7")),
            "behind",
            "1 ticket is before it; T7 is first",
        ),
        (
            facts(STREAMED, agent=here(waiting=ASKED), before=Before(2, "T7")),
            "behind",
            "2 tickets are before it; T7 is first and waits: lucy's pane is at a password prompt "
            "since 12:04:11 (3 m 20 s)",
        ),
        (
            facts(agent=here(), before=Before(1600, "", False)),
            "behind",
            "1600 or more tickets are before it",
        ),
        (
            facts(STREAMED, agent=here(waiting=ASKED), before=Before()),
            "pane",
            "lucy's pane is at a password prompt since 12:04:11 (3 m 20 s)",
        ),
        (
            facts(STREAMED, agent=here(waiting=ASKED_WITH_WHY)),
            "pane",
            "lucy's pane is at a password prompt (echo is off), since 12:04:11 (3 m 20 s)",
        ),
        (
            facts(STREAMED, agent=here(waiting=WaitingReason("zsh is running", "then"))),
            "pane",
            "lucy's watcher waits: zsh is running",
        ),
        (
            facts(agent=here(connection="longpoll"), before=Before()),
            "not-received",
            "lucy is connected by long-polls, but has not received it yet",
        ),
        (
            facts(STREAMED, agent=here()),
            "received",
            "lucy's watcher has had it since 12:03:21 (4 m 10 s) and has not reported what it "
            "waits for",
        ),
        (
            facts(STREAMED, agent=here(health="busy")),
            "received",
            "lucy's watcher has had it since 12:03:21 (4 m 10 s) and reports that its pane is busy",
        ),
        (
            facts(
                STREAMED,
                moment("claimed", 60, "box:7", leaseUntilAt=at(45)),
                agent=here(),
                tells_waiting=False,
            ),
            "received",
            "lucy's watcher has had it since 12:03:21 (4 m 10 s) and waits for its pane, or for "
            "its turn; this broker is too old to report which",
        ),
    ],
)
def test_state_and_text(given, state, text):
    found = find_status(given, NOW)
    assert (found.state, found.text) == (state, text)


def test_the_suggested_command():
    assert (
        find_status(facts(STREAMED, agent=HERE), NOW).mend == own_words() + " explain 'dev lucy' 0"
    )
    assert find_status(facts(), NOW).mend == own_words() + " watch lucy SESSION PANE"


def test_the_lines_have_the_steps_and_no_evidence_twice():
    evidence = {"form": "agent", "pane": "%3"}
    given = facts(
        STREAMED,
        moment("claimed", 249.5, "w"),
        moment("injected", 240, "w", **evidence),
        moment("acknowledged", 239.9, "w", **evidence),
        status="delivered",
    )
    told = [text for _, text in describe_ticket(given, find_status(given, NOW), NOW, 0)]
    assert told == [
        "T9: max > lucy",
        "do it",
        "12:02:31.000  accepted",
        "12:03:21.000  streamed      +50 s  by sse",
        "12:03:21.500  claimed       +500 ms  by w",
        "12:03:31.000  injected      +9.5 s  by w  form=agent  pane=%3",
        "12:03:31.100  acknowledged  +100 ms  by w",
        "now  delivered at 12:03:31 but not answered; lucy has had it for 4 m",
    ]


def test_the_stage_shown_names_the_terminal():
    given = facts(
        moment("shown", 10, pane="%3", tty="/dev/pts/7"),
        moment("shown", 9, tty="/dev/pts/8"),
        Moment("shown", at(8), "", "?"),
        agent=here(),
    )
    told = [text for _, text in describe_ticket(given, find_status(given, NOW), NOW, 0)]
    assert [line.partition("  ")[2] for line in told[3:6]] == [
        "shown         +4 m 50 s  in pane %3",
        "shown         +1.0 s  on /dev/pts/8",
        "shown         +1.0 s  on a terminal",
    ]


def test_evidence_may_be_a_sentence():
    given = facts(
        moment("claimed", 10, "w"),
        Moment("injected", at(5), "w", "typed by \x1b hand"),
        agent=here(),
    )
    assert [text for _, text in describe_ticket(given, find_status(given, NOW), NOW, 0)][
        4
    ].endswith("by w  typed by ␛ hand")


def test_no_text_can_act_on_a_terminal():
    nasty = "\x1b[31m\n\u202e"
    ticket = Ticket(nasty, 1, nasty, nasty, origin=nasty, created_at=nasty, updated_at=nasty)
    given = Facts(
        ticket,
        (Moment(nasty, nasty, nasty, {nasty: {nasty: [nasty]}}),),
        here(waiting=WaitingReason(nasty, nasty)),
        names=(nasty,),
    )
    for width in (0, 40):
        for _, text in describe_ticket(given, find_status(given, NOW), NOW, width):
            assert all(one_line(line) == line for line in text.split("\n"))
