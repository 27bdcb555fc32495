"""Several tickets for one pane: no text is pasted behind another that still waits for its Enter."""

from __future__ import annotations

import asyncio

from panes import QUICK, deliver, run, ticket, until

from bridge.errors import PaneNotReady


def test_no_text_is_pasted_while_another_one_is_not_shown_yet(server):
    """The program shows a paste after 600 ms. Its composer looks empty until then."""
    pane = server.agent("--slow", "0.6")

    async def agent(name: str):
        injector = pane.injector(settings=QUICK)
        for number in range(2):
            await deliver(
                injector, ticket(f"body {name}{number}", f"T-{name}{number}"), patience=60
            )

    async def scenario():
        await asyncio.gather(*[agent(name) for name in "abc"])

    run(scenario())
    until(lambda: len(pane.messages()) >= 6, "all messages")
    assert sorted(message.rpartition("\n")[2] for message in pane.messages()) == sorted(
        f"body {name}{n}" for name in "abc" for n in range(2)
    )


def test_a_text_that_waits_for_its_enter_prevents_other_pastes(server):
    pane = server.agent("--slow", "1.4")

    async def scenario():
        first, second = pane.injector(settings=QUICK), pane.injector(settings=QUICK)
        await first.wait_ready()
        await second.wait_ready()
        task = asyncio.ensure_future(first.inject(ticket("one", "T-1")))
        await asyncio.sleep(0)
        until_pasted = asyncio.get_running_loop().time() + 10
        while "T-1=" not in pane.get("@bridge_pasted"):
            assert asyncio.get_running_loop().time() < until_pasted
            await asyncio.sleep(0.01)
        reasons = set()
        while not task.done():
            try:
                await second.inject(ticket("two", "T-2"))
            except PaneNotReady as error:
                reasons.add(str(error))
            await asyncio.sleep(0.05)
            if "T-2=" in pane.get("@bridge_pasted"):
                break
        assert "the text of another ticket is on its way into this pane" in reasons
        await asyncio.wait([task])
        await deliver(first, ticket("one", "T-1"), patience=30)
        await deliver(second, ticket("two", "T-2"), patience=30)

    run(scenario())
    until(lambda: len(pane.messages()) >= 2, "both messages")
    assert [message.rpartition("\n")[2] for message in pane.messages()] == ["one", "two"]
