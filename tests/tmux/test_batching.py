"""Batching of looks into few tmux processes, and the shared list of panes.

Each caller gets its own answer, also when another command of the same batch fails.
"""

from __future__ import annotations

import asyncio
import gc
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import run

from bridge.errors import PaneLost, TmuxError
from bridge.tmux.server.batching import LIST_MAX, CommandBatcher
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.identity import pick
from bridge.tmux.server.pane_list import PaneList


class FakeTmux:
    """Runs command lists as tmux does: in order, until one fails.

    Its commands are `print X`, `fail`, `gone` and `change X`.
    """

    def __init__(self) -> None:
        self.lists: list[list[str]] = []
        self.changes: list[str] = []

    async def run_list(self, argv):
        await asyncio.sleep(0.001)
        self.lists.append(argv)
        assert sum(map(len, argv)) <= 2 * LIST_MAX
        out = ""
        for is_end, words in itertools.groupby(argv, lambda word: word == ";"):
            command = list(words)
            if is_end:
                continue
            if command[0] == "fail":
                return out, "it failed"
            if command[0] == "gone":
                return out, "no server running on /tmp/x"
            if command[0] == "change":
                self.changes.append(command[1])
            out += command[-1] + "\n"
        return out, ""


async def ask_all(batcher, commands):
    answers = await asyncio.gather(
        *(
            batcher.ask(tuple(command.split()), command.startswith("change"))
            for command in commands
        ),
        return_exceptions=True,
    )
    return [str(answer).strip() for answer in answers]


@given(st.lists(st.sampled_from(["print", "fail", "change"]), max_size=60))
def test_each_caller_gets_its_own_answer_and_a_change_is_made_once(kinds):
    async def scenario():
        tmux = FakeTmux()
        commands = [
            kind if kind == "fail" else f"{kind} {number}" for number, kind in enumerate(kinds)
        ]
        answers = await ask_all(CommandBatcher(tmux.run_list), commands)
        assert answers == [
            "tmux fail: it failed" if kind == "fail" else str(number)
            for number, kind in enumerate(kinds)
        ]
        assert sorted(tmux.changes, key=int) == [
            str(number) for number, kind in enumerate(kinds) if kind == "change"
        ]

    asyncio.run(scenario())


def test_commands_that_arrive_while_processes_run_share_the_next_ones():
    async def scenario():
        tmux = FakeTmux()
        assert await ask_all(
            CommandBatcher(tmux.run_list), [f"print {number}" for number in range(50)]
        ) == [str(number) for number in range(50)]
        assert len(tmux.lists) <= 6

    asyncio.run(scenario())


def test_a_list_never_exceeds_the_size_that_tmux_accepts():
    async def scenario():
        tmux = FakeTmux()
        long = "x" * (LIST_MAX // 3)
        assert await ask_all(
            CommandBatcher(tmux.run_list), [f"print {long}{number}" for number in range(20)]
        ) == [f"{long}{number}" for number in range(20)]
        assert len(tmux.lists) > 6

    asyncio.run(scenario())


def test_a_server_that_is_gone_fails_all_callers():
    async def scenario():
        tmux = FakeTmux()
        answers = await ask_all(
            CommandBatcher(tmux.run_list), ["print 0", "print 1", *["gone"] * 20]
        )
        assert (
            answers[:2] == ["0", "1"]
            and all("no server running" in answer for answer in answers[2:])
            and len(tmux.lists) <= 4
        )

    asyncio.run(scenario())


def test_a_command_whose_caller_was_cancelled_is_not_run():
    async def scenario():
        tmux = FakeTmux()
        batcher = CommandBatcher(tmux.run_list)
        first = [asyncio.ensure_future(batcher.ask(("print", str(number)))) for number in range(2)]
        await asyncio.sleep(0)
        late = asyncio.ensure_future(batcher.ask(("change", "late"), True))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.gather(*first)
        assert await batcher.ask(("print", "2")) == "2\n" and not tmux.changes

    asyncio.run(scenario())


def test_real_panes_get_their_own_answers_and_a_lost_one_its_error(server):
    handles = [server.open("cat") for _ in range(12)]
    server("kill-session", "-t", f"={handles[5].session}")

    async def scenario():
        tmux = Tmux(socket_name=server.name)
        answers = await asyncio.gather(
            *(
                tmux.query(
                    "display-message",
                    "-p",
                    "hello",
                    ";",
                    "list-panes",
                    "-t",
                    handle.id,
                    "-F",
                    "#{session_name}",
                )
                for handle in handles
            ),
            return_exceptions=True,
        )
        for number, (handle, answer) in enumerate(zip(handles, answers)):
            if number == 5:
                assert isinstance(answer, TmuxError) and "can't find" in str(answer)
            else:
                assert answer == f"hello\n{handle.session}\n"

    run(scenario())


def test_real_guarded_sequences_share_a_process_and_a_failing_one_fails_alone(server):
    handles = [server.open("cat") for _ in range(8)]

    async def scenario():
        tmux = Tmux(socket_name=server.name)

        def sequence(number):
            target = "%99999" if number == 3 else handles[number].id
            broken = (
                "paste-buffer -b no-such-buffer -t %s ; " % handles[number].id
                if number == 5
                else ""
            )
            return [
                "if-shell",
                "-F",
                "-t",
                target,
                "1",
                f"{broken}send-keys -t {target} x{number}y Enter ; display-message -p OK",
                "display-message -p NO",
            ]

        answers = await asyncio.gather(
            *(tmux.run_guarded(*sequence(number)) for number in range(8)), return_exceptions=True
        )
        assert [isinstance(answer, TmuxError) for answer in answers] == [
            number in (3, 5) for number in range(8)
        ]

    run(scenario())
    for number, handle in enumerate(handles):
        if number not in (3, 5):
            handle.wait_shown(f"x{number}y")
            assert handle.screen().count(f"x{number}y") == 2, "typed once, echoed once"


# The shared list of panes


def test_one_listing_serves_all_callers_and_a_lost_pane_is_noticed(server):
    handles = [server.open("cat") for _ in range(3)]

    async def scenario():
        tmux = Tmux(socket_name=server.name)
        asked = []
        ask, tmux.query = (tmux.query, lambda *argv: asked.append(argv[0]) or ask(*argv))
        pane_list = PaneList(tmux, fresh=1000.0)
        listings = await asyncio.gather(*(pane_list.recent() for _ in handles))
        panes = [
            pick(listing, handle.session, "0").pane for listing, handle in zip(listings, handles)
        ]
        assert [pane.pane_id for pane in panes] == [
            handle.id for handle in handles
        ] and asked.count("list-panes") == 1
        await asyncio.gather(*map(pane_list.confirm, panes))
        assert asked.count("list-panes") == 1
        server("kill-session", "-t", f"={handles[0].session}")
        await pane_list.confirm(panes[0])
        pane_list.forget()
        with pytest.raises(PaneLost):
            await pane_list.confirm(panes[0])
        await pane_list.confirm(panes[1])
        assert asked.count("list-panes") == 2
        assert pick(await pane_list.recent(), "", handles[2].id).pane.session == handles[2].session
        with pytest.raises(PaneLost):
            pick(await pane_list.recent(), "", "0")
        await pane_list.aclose()

    run(scenario())


def test_a_missing_server_raises_pane_lost_each_time():
    async def scenario():
        pane_list = PaneList(Tmux(socket_name="bridge-test-no-such-server"))
        for _ in range(2):
            with pytest.raises(PaneLost):
                await pane_list.listing(10.0)
        await pane_list.aclose()

    run(scenario())


def test_a_cancelled_caller_leaves_no_unretrieved_exception_when_the_census_fails():
    async def scenario():
        troubles = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: troubles.append(context["message"])
        )
        pane_list = PaneList(Tmux(socket_name="bridge-test-no-such-server"))
        asking = asyncio.ensure_future(pane_list.listing(0.0))
        await asyncio.sleep(0)  # start the listing
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        del pane_list, asking
        gc.collect()
        await asyncio.sleep(0)
        assert troubles == []

    run(scenario())
