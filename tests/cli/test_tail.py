"""`tail`: tickets and their stages, also after a restart of the broker, and without stages."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest
from fakes import FakeBroker, encode, wait_for
from running import Broker, new_name, package_launcher, wait_until


def parsed(tail) -> list:
    return [json.loads(line) for line in tail.lines]


def stages_of(tail, ticket_id: str) -> list:
    """The printed stages of a ticket, with "ticket" for its own line."""
    return [
        each.get("stage", "ticket") for each in parsed(tail) if each.get("ticketId") == ticket_id
    ]


def deliver(served, agent: str, *payloads: str, **fields) -> list:
    """Send, receive and acknowledge."""
    with served.agent_stream(agent) as stream:
        sent = [served.send(agent, payload, **fields) for payload in payloads]
        for ticket_id in sent:
            stream.read_event()
            served.acknowledge(
                ticket_id, {"watcher": "w", "evidence": {"form": "agent", "x": "\x1b"}}
            )
    return sent


def test_each_stage_comes_after_its_ticket_once(bridge, served):
    agent, other = new_name(), new_name()
    with bridge.running("tail", agent, "--json") as tail, bridge.running("tail") as everything:
        seen = served.send(agent, "first")
        wait_until(lambda: tail.lines and everything.lines, f"both: {tail.said} {everything.said}")
        sent = deliver(served, agent, *(f"text {number}" for number in range(20)))
        elsewhere = deliver(served, other, "elsewhere \x1b")[0]
        served.ask("POST", "/replies", {"ticketId": sent[0], "payload": "the answer"})
        wait_until(lambda: stages_of(tail, sent[0])[-1:] == ["replied"], "the reply")
        for ticket_id in sent:
            assert stages_of(tail, ticket_id)[:4] == [
                "ticket",
                "streamed",
                "injected",
                "acknowledged",
            ]
        assert stages_of(tail, seen)[0] == "ticket" and not stages_of(tail, elsewhere)
        with served.agent_stream(agent):
            wait_until(
                lambda: any(
                    each.get("event") == "agent" and each["connection"] == "sse"
                    for each in parsed(tail)
                ),
                "that the agent is here",
            )
            wait_until(
                lambda: any(f"{agent} is online (sse)" in line for line in everything.lines),
                "the same in words",
            )
        wait_until(
            lambda: any("acknowledged" in line and elsewhere in line for line in everything.lines),
            "the other agent's",
        )
        shown = "\n".join(everything.lines)
        assert (
            "elsewhere ␛" in shown
            and "replied the answer" in shown
            and "x=␛" in shown
            and "\x1b" not in shown
        )
        tail.stop(signal.SIGINT, 130)
        everything.stop(signal.SIGINT, 130)
        assert tail.complaints() == [] == everything.complaints()


def test_thread_and_no_stages(bridge, served):
    agent, thread = new_name(), new_name()
    with (
        bridge.running("tail", "--thread", thread, "--json") as tail,
        bridge.running("tail", agent, "--no-stages", "--json") as plain,
    ):
        first = served.send(agent, "ours", metadata={"threadId": thread})
        wait_until(lambda: tail.lines and plain.lines, "the first")
        deliver(served, agent, "another's")
        ours = deliver(served, agent, "ours too", metadata={"threadId": thread})[0]
        wait_until(lambda: stages_of(tail, ours)[-1:] == ["acknowledged"], "its end")
        wait_until(lambda: len(plain.lines) == 3, "three tickets")
        assert {each["ticketId"] for each in parsed(tail)} == {first, ours}
        assert all("stage" not in each and "event" not in each for each in parsed(plain))
        for process in (tail, plain):
            process.stop(signal.SIGINT, 130)


def test_a_restart_of_the_broker_loses_no_ticket_and_reports_that_stages_may_be_missing(
    tmp_path, program_for
):
    broker = Broker(package_launcher(), tmp_path / "bridge.db")
    with (
        broker,
        program_for(broker.url).running(
            "tail", "--json", "--reconnect-base", "10", "--reconnect-max", "50"
        ) as tail,
    ):
        first = broker.send("lucy", "before")
        wait_until(lambda: stages_of(tail, first), "the first")
        broker.kill()
        tail.wait_said("connecting again")
        broker.flags = ["--port", str(broker.port)]
        broker.start()
        second = broker.send("lucy", "after")
        wait_until(lambda: stages_of(tail, second), f"the second: {tail.said}")
        wait_until(
            lambda: any(each == {"event": "missed", "events": None} for each in parsed(tail)),
            "that something may be missing",
        )
        assert stages_of(tail, first) == ["ticket"], "not printed again"
        broker.acknowledge(second)
        wait_until(lambda: "acknowledged" in stages_of(tail, second), "stages again")
        assert any("finished already may be missing" in line for line in tail.said)
        tail.stop(signal.SIGINT, 130)


def test_a_broker_without_stages(program_for):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    ticket = {
        "ticketId": "T1",
        "seq": 1,
        "agentId": "lucy",
        "payload": "hello",
        "metadata": {},
        "createdAt": "then",
    }

    async def handler(asked, writer):
        if asked.path != ["tickets", "stream"]:
            return encode(404, {"error": "no such thing"})
        writer.write(
            head
            + b"event: ticket\nid: 1\ndata: "
            + json.dumps({"agentId": "lucy", "ticket": ticket}).encode()
            + b"\n\n"
        )
        await asyncio.Event().wait()

    async def play():
        async with FakeBroker(handler) as broker:
            with program_for(broker.url).running("tail") as tail:
                await wait_for(lambda: tail.lines and tail.complaints(), f"the ticket: {tail.said}")
                assert tail.lines == ["then 1 ui > lucy T1 hello"] and tail.complaints() == [
                    "bridge: tickets only: the broker sends no stages (no such thing)"
                ]
                tail.stop(signal.SIGINT, 130)

    asyncio.run(play())


@pytest.mark.parametrize(
    "words, status",
    [(["--broker-url", "http://127.0.0.1:1"], 3), (["a\x1b"], 2), (["--after", "x"], 2)],
)
def test_errors_at_the_start(bridge, words, status):
    bridge.run("tail", *words, status=status)


def test_a_broker_without_streams(start, program_for):
    program_for(start(DISABLE_SSE="true").url).run("tail", status=5)
