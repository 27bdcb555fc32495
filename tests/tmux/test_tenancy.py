"""A pane serves one agent at a time: within a process, between processes, and after they ended."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import run

from bridge.errors import PaneLost, PaneUnfit
from bridge.tmux.injection.pane_marks import mark_of
from bridge.tmux.injection.tenancy import OPTION, PaneTurns, Tenancy, Tenant, read_tenants
from bridge.tmux.readiness.terminal import is_alive, process_name
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane import resolve
from bridge.tmux.server.pane_list import PaneList

AGENTS = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())
OTHERS = st.text(alphabet=st.sampled_from("a=1.0-+ \t#{}'\";,é"), max_size=30)


@given(
    st.lists(st.tuples(AGENTS, st.integers(1, 1 << 22), st.integers(0, 1 << 40)), max_size=5),
    OTHERS,
)
def test_written_tenants_are_read_back_and_other_text_is_ignored(tenants, other):
    known = [Tenant(mark_of(agent), f"{pid}.{start}") for agent, pid, start in tenants]
    assert read_tenants(" ".join(map(str, known))) == known
    assert [one.agent for one in known] == [agent for agent, _, _ in tenants]
    assert set(known) <= set(read_tenants(" ".join([*map(str, known), other])))


@pytest.fixture
def stranger():
    """Another process, which is alive."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def pane(own):
    return own.open("cat")


def tenancy(server, agent: str, turns: PaneTurns | None = None) -> Tenancy:
    tmux = Tmux(socket_name=server.name)
    return Tenancy(agent, tmux, PaneList(tmux), turns)


async def found(handle):
    return await resolve(Tmux(socket_name=handle.server.name), handle.session, "0")


def said(handle) -> list[str]:
    """Return the agents that the pane's option names."""
    return [tenant.agent for tenant in read_tenants(handle.get(OPTION))]


def test_a_second_agent_is_refused_until_the_first_has_left(own, pane):
    async def scenario():
        lucy, bob = tenancy(own, "lucy"), tenancy(own, "bob with blanks, #{pid}")
        there = await found(pane)
        for _ in range(2):
            await lucy.take(there)
        with pytest.raises(
            PaneUnfit, match=r"has agent 'lucy' already, and takes one only: .*--share-pane"
        ):
            await bob.take(there)
        await bob.leave()
        assert said(pane) == ["lucy"]
        await lucy.leave()
        assert pane.get(OPTION) == ""
        await bob.take(there)
        assert said(pane) == ["bob with blanks, #{pid}"]
        with pytest.raises(PaneUnfit, match="has agent 'bob with blanks"):
            await lucy.take(there)

    run(scenario())


def test_one_of_many_concurrent_agents_gets_the_pane(own, pane):
    async def scenario():
        there = await found(pane)
        outcomes = await asyncio.gather(
            *(tenancy(own, f"agent-{number}").take(there) for number in range(8)),
            return_exceptions=True,
        )
        assert [isinstance(each, PaneUnfit) for each in outcomes].count(False) == 1, outcomes
        assert len(said(pane)) == 1

    run(scenario())


def test_agents_that_share_a_pane_are_all_named_and_share_one_turn(own, pane):
    async def scenario():
        there, elsewhere, turns = await found(pane), await found(own.open("cat")), PaneTurns()
        agents = [tenancy(own, f"agent-{number}", turns) for number in range(8)]
        await asyncio.gather(*(agent.take(there) for agent in agents))
        assert sorted(said(pane)) == [f"agent-{number}" for number in range(8)]
        async with agents[0].turn():
            held = agents[0].turn()
            assert all(agent.turn() is held for agent in agents)
            other = tenancy(own, "other", turns)
            await other.take(elsewhere)
            assert other.turn() is not held
        del held
        assert not list(turns._turns), "a turn that is not held was kept"
        for agent in agents[1:]:
            await agent.leave()
        assert said(pane) == ["agent-0"]

    run(scenario())


def test_a_tenant_of_another_live_process_is_respected_even_with_sharing(own, pane, stranger):
    own("set-option", "-p", "-t", pane.id, OPTION, f"bob={process_name(stranger.pid)}")

    async def scenario():
        there = await found(pane)
        for turns in (None, PaneTurns()):
            with pytest.raises(
                PaneUnfit, match=f"has agent 'bob' already, typed for by process {stranger.pid}"
            ):
                await tenancy(own, "lucy", turns).take(there)
        twin = tenancy(own, "bob")
        await twin.take(there)
        assert said(pane) == ["bob", "bob"]
        await twin.leave()
        assert said(pane) == ["bob"]
        stranger.kill()
        stranger.wait()
        await tenancy(own, "lucy").take(there)
        assert said(pane) == ["lucy"]

    run(scenario())


def test_a_later_process_with_the_same_id_is_a_different_one(stranger):
    assert is_alive(process_name(stranger.pid))
    assert not is_alive(f"{stranger.pid}.1")
    assert is_alive(f"{stranger.pid}.0")  # 0: without /proc the start time is unknown
    stranger.kill()
    with open(f"/proc/{stranger.pid}/stat") as stat:  # a zombie until `wait` below
        while stat.read().rpartition(")")[2].split()[0] != "Z":
            stat.seek(0)
    assert not is_alive(f"{stranger.pid}.0")
    stranger.wait()
    assert not is_alive(process_name(stranger.pid)) and not is_alive("99999999999999999999.0")


@pytest.mark.parametrize(
    "value", ["", "x#{y},}", "lucy", "bob=1", "a b c", '\'"$(touch PWNED)" ; kill-server']
)
def test_any_other_value_of_the_option_is_replaced(own, pane, value):
    own("set-option", "-p", "-t", pane.id, OPTION, value)

    async def scenario():
        await tenancy(own, "lucy").take(await found(pane))

    run(scenario())
    assert said(pane) == ["lucy"]


def test_before_tmux_3_a_global_option_contains_the_panes_number(own, pane):
    async def scenario():
        there, elsewhere = [
            replace(await found(handle), per_pane=False) for handle in (pane, own.open("cat"))
        ]
        lucy, bob = tenancy(own, "lucy"), tenancy(own, "bob")
        await lucy.take(there)
        await bob.take(elsewhere)
        with pytest.raises(PaneUnfit):
            await bob.take(there)
        await lucy.leave()
        await bob.take(there)
        await bob.leave()
        assert OPTION not in own("show-options", "-g")

    run(scenario())


def test_take_raises_pane_lost_for_a_killed_pane_and_leave_does_not(own, pane):
    own("new-session", "-d", "-s", "witness", "exec cat")

    async def scenario():
        lucy, there = tenancy(own, "lucy"), await found(pane)
        await lucy.take(there)
        own("kill-session", "-t", f"={pane.session}")
        with pytest.raises(PaneLost):
            await lucy.take(there)
        await lucy.leave()
        own("kill-server")
        with pytest.raises(PaneLost):
            await tenancy(own, "lucy").take(there)
        await lucy.leave()

    run(scenario())
