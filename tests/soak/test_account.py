"""The account itself: a correct log passes, and each kind of fault is found."""

from __future__ import annotations

import pytest

from soak.account import Book
from soak.places import Life, Place

BORN, DIED, BORN_AGAIN = 1000.0, 2000.0, 2003.0  # seconds since 1970, as `at` below


class Typist:
    """A person's entered lines, without the person."""

    lines = [(11, "human-bash-1", 1500.0)]


def at(second: float) -> str:
    return f"1970-01-01T00:{int(second // 60):02}:{second % 60:06.3f}Z"


def ticket(
    number: int,
    submitted: float,
    acknowledged: float,
    stages: tuple[str, ...] = ("shown",),
    **metadata,
) -> dict:
    moments = [
        ("accepted", 1001),
        ("injected", submitted),
        *((stage, acknowledged) for stage in stages),
        ("acknowledged", acknowledged),
    ]
    history = [{"stage": stage, "at": at(moment)} for stage, moment in moments]
    return {
        "ticketId": f"T-{number}",
        "agentId": "bash",
        "seq": number,
        "status": "delivered",
        "metadata": metadata,
        "history": history,
    }


TICKETS = [
    ticket(1, 1100, 1101),
    ticket(2, 1200, 1201),
    ticket(3, 2100, 2101),
    ticket(4, 2200, 2201, priority="urgent"),
]
HONEST = ["11 1100 T-1", "11 1500 human-bash-1", "11 1550 T-2", "22 2200 T-4", "22 2250 T-3"]


def wrongs(tmp_path, lines, tickets=TICKETS, **fields) -> list[str]:
    place = Place(
        "bash",
        "dev$ ",
        "",
        agents=["bash"],
        lives=[Life(11, BORN, DIED, DIED - 1), Life(22, BORN_AGAIN)],
    )
    (tmp_path / "bash.runs").write_text("".join(line + "\n" for line in lines))
    return Book(tmp_path, place, tickets, Typist(), **fields).wrongs()


def test_a_correct_log_has_no_faults(tmp_path):
    assert wrongs(tmp_path, HONEST) == []


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([*HONEST, "22 2300 T-3"], "2 times"),
        (HONEST[1:], "in no pane"),
        ([*HONEST, "22 2300 T-1"], "before pid 22 was born"),
        (["11 1090 T-2", "11 1095 T-1", *HONEST[1:2], *HONEST[3:]], "order in pid 11"),
        ([*HONEST, "22 2300 half-bash-3"], "never sent"),
        (["11 1090 xT-1", *HONEST], "never sent"),
        ([each for each in HONEST if "human" not in each], "0 times"),
        ([*HONEST, "11 1600 human-bash-1"], "2 times"),
    ],
)
def test_each_fault_is_found(tmp_path, lines, word):
    found = wrongs(tmp_path, lines)
    assert found and any(word in each for each in found), found


def test_a_ticket_may_be_missing_only_if_its_pane_ended(tmp_path):
    dying = [*TICKETS, ticket(5, DIED - 2, DIED + 1)]
    assert wrongs(tmp_path, HONEST, dying) == []
    assert (
        "in no pane" in wrongs(tmp_path, HONEST, [*TICKETS, ticket(5, DIED - 500, DIED - 499)])[0]
    )


def test_a_ticket_that_was_lost_before_its_acknowledgement_may_be_typed_into_the_new_pane(tmp_path):
    assert (
        wrongs(
            tmp_path,
            [
                "11 1100 T-1",
                "11 1500 human-bash-1",
                "11 1550 T-2",
                "11 1999 T-3",
                "22 2200 T-3",
                "22 2250 T-4",
            ],
        )
        == []
    )


def test_a_ticket_that_waits_for_ever_is_found(tmp_path):
    waiting = {**TICKETS[0], "status": "pending", "history": TICKETS[0]["history"][:1]}
    assert "still pending" in wrongs(tmp_path, HONEST[1:], [waiting, *TICKETS[1:]])[0]


def test_a_command_may_run_again_only_until_it_was_shown(tmp_path):
    again = ["11 1095 T-1", *HONEST]
    assert wrongs(tmp_path, again) == []
    assert "although it had been shown" in wrongs(tmp_path, [*HONEST, "11 1150 T-1"])[0]


def test_a_shells_ticket_that_is_acknowledged_but_was_not_shown_is_found(tmp_path):
    assert (
        "was not shown"
        in wrongs(tmp_path, HONEST, [ticket(1, 1100, 1101, stages=()), *TICKETS[1:]])[0]
    )


def test_a_ticket_that_was_set_aside_may_be_out_of_order(tmp_path):
    late = [HONEST[1], HONEST[2], "11 1600 T-1", *HONEST[3:]]
    assert "order" in wrongs(tmp_path, late, [ticket(1, 1600, 1601), *TICKETS[1:]])[0]
    assert (
        wrongs(tmp_path, late, [ticket(1, 1600, 1601, stages=("aside", "shown")), *TICKETS[1:]])
        == []
    )


@pytest.mark.parametrize(
    ("prompt", "reason", "is_wrong"),
    [
        ("> ", "the program in %1 has ended, and was not seen to take it", False),
        ("> ", "the screen moved", True),
        ("> ", "", True),
        ("dev$ ", "it is not typed again", True),  # a shell's command may be typed again
    ],
)
def test_an_agents_ticket_may_stay_pending_only_with_the_reason_that_its_fate_is_unknown(
    tmp_path, prompt, reason, is_wrong
):
    aside = (
        [{"stage": "aside", "at": at(1100), "by": "w", "evidence": {"reason": reason}}]
        if reason
        else []
    )
    waiting = {
        **TICKETS[0],
        "status": "pending",
        "origin": "max",
        "payload": "",
        "history": [*TICKETS[0]["history"][:1], *aside],
    }
    place = Place("bash", prompt, "", agents=["bash"], lives=[Life(11, BORN)])
    found = Book(tmp_path, place, [waiting], Typist()).wrongs()
    assert any("still pending" in each for each in found) is is_wrong


def test_an_agent_that_is_refused_a_pane_may_keep_its_tickets(tmp_path):
    waiting = {
        **TICKETS[0],
        "agentId": "second",
        "status": "pending",
        "history": TICKETS[0]["history"][:1],
    }
    assert wrongs(tmp_path, HONEST[1:], [waiting, *TICKETS[1:]], refused={"second"}) == []
