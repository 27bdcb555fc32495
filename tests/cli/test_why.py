"""`why` and `search` against a real broker: tickets in every state, from memory and from disk."""

from __future__ import annotations

import asyncio
import json
import re
import shlex

import pytest
from fakes import FakeBroker, encode
from panes import Server
from running import Broker, new_name, package_launcher, wait_until

from bridge.cli.main import main
from bridge.self_command import own_words


@pytest.fixture
def run(served, capsys):
    """run(words...): run a command in this process, which is faster; return its output."""

    def command(*words: str, url: str = served.url, status: int = 0) -> str:
        assert main([*words, "--broker-url", url]) == status
        told = capsys.readouterr()
        return told.err if status else told.out

    return command


@pytest.fixture
def why(run):
    """why(ticket): the last lines, which show its state; why.json(ticket): the JSON."""

    def ask(ticket_id: str) -> str:
        return run("why", ticket_id).partition("\nnow  ")[2]

    ask.json = lambda ticket_id: json.loads(run("why", ticket_id, "--json"))
    return ask


def heartbeat(served, agent: str, **report) -> None:
    assert served.ask("POST", f"/agents/{agent}/heartbeat", report).status == 200


def test_each_state_from_no_watcher_to_the_reply(bridge, served, run, why):
    agent = new_name()
    ticket = served.send(agent, "do \x1b it", metadata={"origin": "max"})
    said = bridge.run("why", ticket)
    assert said.startswith(f"{ticket}: max > {agent}\ndo ␛ it\n") and re.search(
        r"^\d\d:\d\d:\d\d\.\d{3}  accepted$", said, re.M
    )
    never = f"no watcher has ever asked for the tickets of {agent}, since the broker started at"
    assert never in said
    assert (
        f"try  {own_words()} watch {agent} SESSION PANE" in said
        and why.json(ticket)["now"]["state"] == "never-asked"
    )
    served.register(agent)
    assert f"no watcher is connected for {agent} (last seen " in why(ticket)
    other = served.send(agent, "and this", expectReply=False)
    with served.agent_stream(agent) as stream:
        assert [stream.read_event().event for _ in range(2)] == ["ticket", "ticket"]
        assert f"{agent}'s watcher has had it since" in why(ticket)
        assert re.match(rf"1 ticket is before it; {ticket} is first\n", why(other))
        heartbeat(
            served,
            agent,
            health="busy",
            session="dev x",
            pane="0",
            waiting={
                "ticketId": ticket,
                "reason": "the pane is at a password prompt",
                "sinceAt": "2026-01-01T12:04:11.000Z",
            },
        )
        waits = f"{agent}'s pane is at a password prompt since "
        assert re.match(
            rf"{waits}20\d\d-\d\d-\d\d \d\d:04:11 \(\d+ d.*\)\n"
            rf"try  {re.escape(own_words())} explain 'dev x' 0\n",
            why(ticket),
        )
        assert f"1 ticket is before it; {ticket} is first and waits: {waits}" in why(other)
        assert why.json(other)["ticketsBefore"] == 1 and why.json(ticket)["ticketsBefore"] == 0
        heartbeat(served, agent, health="lost", session="dev x", pane="0")
        assert why(ticket).startswith(
            f"{agent}'s watcher is connected, but has lost its pane (tmux session dev x, pane 0)"
        )
        assert served.ask("POST", f"/tickets/{ticket}/claim", {"watcher": "box:7"}).status == 200
        assert why(ticket).startswith("the watcher box:7 is about to type it, and holds it until ")
        served.acknowledge(ticket, {"watcher": "box:7", "evidence": {"form": "agent"}})
        served.acknowledge(other)
    assert re.match(rf"delivered at \S+ but not answered; {agent} has had it for ", why(ticket))
    assert re.match(rf"{agent} got it at \S+; no reply is expected\n$", why(other))
    assert re.search(
        r"injected      \+.* by box:7  form=agent\n.*acknowledged  \+\d+ ms  by box:7\n",
        run("why", ticket),
    )
    run("reply", ticket, "done")
    assert re.match(rf"{agent} answered it at \S+, .* after it was sent\n$", why(ticket))
    assert [each["stage"] for each in why.json(ticket)["history"]] == [
        "accepted",
        "streamed",
        "claimed",
        "injected",
        "acknowledged",
        "replied",
    ]


def test_an_urgent_ticket_comes_first(served, why):
    agent = new_name()
    served.register(agent)
    plain = served.send(agent)
    urgent = [served.send(agent, metadata={"priority": "urgent"}) for _ in range(2)]
    with served.agent_stream(agent):
        assert (
            why.json(plain)["ticketsBefore"],
            why.json(urgent[0])["ticketsBefore"],
            why.json(urgent[1])["ticketsBefore"],
        ) == (2, 0, 1)


def test_expired(served, why):
    ticket = served.send(new_name(), ttlMs=1)
    wait_until(lambda: served.ticket(ticket)["status"] == "expired", "its end")
    assert why(ticket).startswith("it expired undelivered at ")


def test_reading_tickets_is_not_receiving_them(bridge, served, run):
    agent = new_name()
    ticket = served.send(agent, "hello")
    assert (
        "hello" in run("pending", agent)
        and run("search", "hello", "--agent", agent)
        and run("why", ticket)
    )
    with bridge.running("tail", agent) as tail:
        wait_until(lambda: any(ticket in line for line in tail.lines), "the ticket")
        tail.stop(2, 130)
    assert [each["stage"] for each in served.ticket(ticket)["history"]] == ["accepted"]
    assert served.ask("GET", f"/debug/agent/{agent}/status").json["connection"] == "none"


def test_a_finished_ticket_is_read_from_disk(tmp_path, program_for):
    broker = Broker(package_launcher(), tmp_path / "bridge.db")
    with broker:
        ticket = broker.send("lucy", "hello")
        broker.acknowledge(ticket, {"watcher": "w"})
    with broker:
        assert "acknowledged" in program_for(broker.url).run("why", ticket)
        program_for(broker.url).run("why", "nonsense", status=4)


def test_the_pane_of_a_real_watcher_at_a_password_prompt(bridge, served, run, tmp_path):
    server, agent = Server(tmp_path), new_name()
    try:
        pane = server.open("env " + shlex.quote("PS1=$ ") + " bash --norc --noprofile")
        pane.wait_shown("$")
        pane.keys("read -s -p 'Secret: ' secret", "Enter")
        pane.wait_shown("Secret:")
        with bridge.running(
            "watch",
            agent,
            pane.session,
            "0",
            "-L",
            server.name,
            "--explain-after",
            "10",
            "--report-interval",
            "10",
        ):
            ticket = served.send(agent)
            said = wait_until(
                lambda: (
                    re.search(r"now  (.*)\n", text)[1]
                    if "password" in (text := run("why", ticket))
                    else ""
                ),
                "the watcher's reason",
            )
            assert re.match(
                rf"{agent}'s pane is at a password prompt \(echo is off\), since \d\d:\d\d:\d\d \(",
                said,
            )
            assert f"try  {own_words()} explain {pane.session} 0" in run("why", ticket)
            assert re.search(
                r"^waiting.reason +the pane is at a password prompt", run("status", agent), re.M
            )
    finally:
        server.stop()


def test_search(bridge, served, run):
    agent, thread = new_name(), new_name()
    first = served.send(agent, "Grüße an ALLE\x1b", metadata={"origin": "ann", "threadId": thread})
    second = served.send(agent, {"text": "grüße"})
    served.acknowledge(second)
    listed = run("search", "GRÜSSE").splitlines()  # casefolded
    assert (
        re.split(r"  +", listed[0]) == ["SEQ", "TICKET", "FROM", "TO", "STATUS", "SENT", "TEXT"]
        and len(listed) == 3
    )
    assert (
        second in listed[1]
        and "delivered" in listed[1]
        and first in listed[2]
        and "ALLE␛" in listed[2]
    )

    def found(*words: str) -> list:
        return [each["ticketId"] for each in json.loads(run("search", *words, "--json"))]

    assert found("--agent", agent) == [second, first] and found(
        "--agent", agent, "--limit", "1"
    ) == [second]
    assert (
        found("--origin", "ann", "--thread", thread)
        == [first]
        == found("--agent", agent, "--status", "pending")
    )
    assert found("--agent", agent, "--before", str(served.ticket(second)["seq"])) == [first]
    bridge.run("search", "x", "--limit", "0", status=2)


def test_a_search_continues_where_the_broker_stopped(start, run):
    broker = start(BRIDGE_SEARCH_ROWS=2)
    tickets = [broker.send("lucy", "needle" if number == 0 else "hay") for number in range(7)]
    assert [
        each["ticketId"] for each in json.loads(run("search", "needle", "--json", url=broker.url))
    ] == tickets[:1]
    assert json.loads(run("why", tickets[6], "--json", url=broker.url))["ticketsBefore"] == 6


def test_an_older_broker(run):
    """It has tickets and the status of one agent, but no overview and no search."""
    ticket = {
        "ticketId": "T1",
        "seq": 1,
        "agentId": "lucy",
        "payload": "hello",
        "status": "pending",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "history": [{"stage": "accepted", "at": "x"}],
    }
    page = {
        "connection": "sse",
        "lastHeartbeat": None,
        "pendingMessages": 1,
        "tmuxSession": "dev",
        "sessionHealth": "busy",
    }

    async def handler(asked, writer):
        answers = {"tickets/T1": ticket, "debug/agent/lucy/status": page, "agents": []}
        path = "/".join(asked.path)
        return (200, answers[path]) if path in answers else encode(404, {"error": "no such thing"})

    async def play():
        async with FakeBroker(handler) as broker:

            def ask(*words, status=0):
                return asyncio.get_running_loop().run_in_executor(
                    None, lambda: run(*words, url=broker.url, status=status)
                )

            assert "lucy is connected by an event stream, but has not received it yet" in await ask(
                "why", "T1"
            )
            page.update(sessionHealth="lost")
            assert "has lost its pane (tmux session dev)" in await ask("why", "T1")
            page.update(connection="none")
            never = "no watcher has ever asked for the tickets of lucy"
            assert f"{never}, as far as the broker remembers" in await ask("why", "T1")
            assert "tmuxSession" in await ask("status", "lucy")
            assert "no such thing" in await ask("search", "x", status=4)

    asyncio.run(play())
