"""Sources of agents: each source alone, and which one wins when several name an agent."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from virtual_clock import run

from bridge.errors import PaneLost, TmuxError, UsageError
from bridge.tmux.server.identity import Listing, PaneRow
from bridge.watcher.discovery.assignments import RosterUpdates
from bridge.watcher.discovery.merge import Assignment
from bridge.watcher.discovery.sources import (
    FileSource,
    RegistrySource,
    SessionSource,
    registered_pane,
)


def row(session: str, window: int = 0, pane: int = 0, **fields) -> PaneRow:
    known = {
        "server_pid": 1,
        "start_time": 1,
        "pane_id": f"%{window}{pane}",
        "pane_pid": 1,
        "tty": "/dev/null",
        "session_id": "$1",
    }
    return PaneRow(**{**known, **fields}, window_index=window, pane_index=pane, session=session)


class FakePaneList:
    def __init__(self, *rows: PaneRow) -> None:
        self.rows = list(rows)
        self.error: Exception | None = None

    async def listing(self, fresh):
        if self.error is not None:
            raise self.error
        return Listing("socket", True, tuple(self.rows))


# Files


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path):
    path = tmp_path / "agents.json"
    path.write_text('{"a": "s:0"}')
    source = FileSource(str(path), False, 1.0)
    first = source.read()
    assert source.read() is first and first == {"a": Assignment("a", "s", "0")}
    other = tmp_path / "other"
    other.write_text('{"b": "s:0"}')  # the same size, and below the same mtime
    os.utime(other, ns=(os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns))
    os.replace(other, path)
    assert set(source.read()) == {"b"}


def test_an_invalid_file_is_read_again(tmp_path):
    path = tmp_path / "agents.json"
    source = FileSource(str(path), False, 1.0)
    for content, says in [
        (None, "cannot be read"),
        (b'{\n"a": 1}', "line 2"),
        (b'{\n\n"a\xff": "s:0"}', "line 3: this is no UTF-8"),
        (b" " * (4 << 20) + b"{}", "larger"),
    ]:
        if content is not None:
            path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(UsageError, match=says):
                source.read()
    path.write_bytes(b'\xef\xbb\xbf{"a": "s:0"}')
    assert set(source.read()) == {"a"}


# The registry


@pytest.mark.parametrize(
    "metadata, expected",
    [
        ({"session": "dev-lucy", "paneId": "0"}, Assignment("lucy", "dev-lucy", "0")),
        ({"session": "dev-lucy", "paneId": 1, "more": True}, Assignment("lucy", "dev-lucy", "1")),
        ({"session": "dev-lucy", "paneId": "%3"}, Assignment("lucy", "dev-lucy", "%3")),
        ({"session": "dev-lucy"}, None),
        ({"session": "", "paneId": "print"}, None),
        ({"session": "dev-lucy", "paneId": "0", "registeredBy": "bridge"}, None),
        ({"session": 5, "paneId": "0"}, None),
        ({"session": "dev-lucy", "paneId": True}, None),
        (None, None),
    ],
)
def test_the_pane_in_an_agents_metadata(metadata, expected):
    assert registered_pane({"agentId": "lucy", "metadata": metadata}) == expected


def test_the_registry_returns_agents_with_a_local_session_and_keeps_them_while_it_is_gone():
    class Client:
        agents_now = [
            {"agentId": name, "metadata": {"session": session, "paneId": "0"}}
            for name, session in (("a", "here"), ("b", "there"))
        ]

        async def agents(self):
            return self.agents_now

    async def scenario(loop):
        pane_list, client = FakePaneList(row("here")), Client()
        source = RegistrySource(client, pane_list, 1.0)
        assert set(await source.look()) == {"a"}
        pane_list.rows = [row("there")]
        assert set(await source.look()) == {"a", "b"}
        pane_list.error = PaneLost("no server")
        assert set(await source.look()) == {"a", "b"}
        client.agents_now = client.agents_now[1:]
        assert set(await source.look()) == {"b"}

    run(scenario)


# Sessions


def test_a_session_name_gives_the_agent_and_its_first_pane():
    async def scenario(loop):
        pane_list = FakePaneList(
            row("dev-lucy", 1, 2),
            row("dev-lucy", 1, 1),
            row("dev-lucy", 2, 0),
            row("dev-"),
            row("other"),
            row("dev-ö ü"),
            row("dev-" + "x" * 200),
            row("dev-a\x7fb"),
        )
        assert await SessionSource("dev-*", pane_list, 1.0, 60.0).look() == {
            "lucy": Assignment("lucy", "dev-lucy", "1.1"),
            "ö ü": Assignment("ö ü", "dev-ö ü", "0.0"),
        }
        assert set(await SessionSource("d*y", pane_list, 1.0, 60.0).look()) == {"ev-luc"}

    run(scenario)


def test_an_agent_keeps_its_pane_and_never_gets_the_one_beside_it():
    async def scenario(loop):
        pane_list = FakePaneList(row("dev-a", 1, 0, pane_id="%5"), row("dev-a", 2, 0, pane_id="%6"))
        source = SessionSource("dev-*", pane_list, 1.0, 60.0)

        async def place() -> str:
            return (await source.look())["a"].pane

        assert await place() == "1.0"
        pane_list.rows = [
            row("dev-a", 1, 0, pane_id="%7"),
            row("dev-a", 1, 1, pane_id="%5"),
            row("dev-a", 2, 0, pane_id="%6"),
        ]
        assert await place() == "1.1"  # the same pane %5 has moved
        pane_list.rows = [row("dev-a", 1, 0, pane_id="%7"), row("dev-a", 2, 0, pane_id="%6")]
        assert await place() == "1.1"  # the pane is gone: its place is kept, no other is taken
        pane_list.rows = [row("dev-a", 3, 0, pane_id="%8", session_id="$9")]
        assert await place() == "3.0"  # the session was created again
        pane_list.rows = [row("dev-a", 0, 0, pane_id="%8", session_id="$9", server_pid=2)]
        assert await place() == "0.0"

    run(scenario)


def test_an_agent_is_kept_for_a_while_after_its_session_has_gone():
    async def scenario(loop):
        pane_list = FakePaneList(row("dev-a"), row("dev-b"))
        source = SessionSource("dev-*", pane_list, 1.0, 60.0)
        assert set(await source.look()) == {"a", "b"}
        pane_list.rows = [row("dev-b")]
        await asyncio.sleep(59)
        assert set(await source.look()) == {"a", "b"}
        await asyncio.sleep(2)
        assert set(await source.look()) == {"b"}
        pane_list.error = PaneLost("no server")
        await asyncio.sleep(59)
        assert set(await source.look()) == {"b"}
        pane_list.error = TmuxError("list-panes", "no answer")
        with pytest.raises(TmuxError):
            await source.look()

    run(scenario)


@pytest.mark.parametrize("pattern", ["dev", "", "*-*"])
def test_a_pattern_holds_one_star(pattern):
    with pytest.raises(UsageError):
        SessionSource(pattern, FakePaneList(), 1.0, 60.0)


# All of them


class Spoken:
    """A fake source: it returns `roster`, or raises `error`."""

    def __init__(self, name: str, *agents: str) -> None:
        self.name, self.interval, self.looks = name, 1.0, 0
        self.roster = {agent: Assignment(agent, name, "0") for agent in agents}
        self.error: Exception | None = None

    async def look(self):
        self.looks += 1
        if self.error is not None:
            raise self.error
        return dict(self.roster)


def test_the_first_source_wins_and_a_failing_source_changes_nothing(caplog):
    async def scenario(loop):
        file, sessions, assigned = Spoken("file", "a", "b"), Spoken("sessions", "b", "c"), []
        updates = RosterUpdates(
            {"a": Assignment("a", "words", "0")},
            [file, sessions],
            assigned.append,
            {"file": file.roster},
        )
        assert {agent: each.session for agent, each in updates.roster.items()} == {
            "a": "words",
            "b": "file",
        }
        running = asyncio.ensure_future(updates.run())
        await asyncio.sleep(0.5)
        assert {agent: each.session for agent, each in assigned[-1].items()} == {
            "a": "words",
            "b": "file",
            "c": "sessions",
        }
        count = len(assigned)
        file.error = UsageError("line 3 is wrong")
        await asyncio.sleep(5)
        assert len(assigned) == count and caplog.text.count("line 3 is wrong") == 1
        file.error, file.roster = None, {}
        await asyncio.sleep(1)
        assert {agent: each.session for agent, each in assigned[-1].items()} == {
            "a": "words",
            "b": "sessions",
            "c": "sessions",
        }
        looks = file.looks
        updates.look_again()
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert file.looks == looks + 1
        running.cancel()

    run(scenario)


def test_a_file_may_hold_a_thousand_agents(tmp_path):
    path = tmp_path / "agents.json"
    path.write_text(
        json.dumps(
            {f"agent-{number}": {"session": f"dev-{number}", "pane": "0"} for number in range(1000)}
        )
    )
    assert len(FileSource(str(path), False, 1.0).read()) == 1000
