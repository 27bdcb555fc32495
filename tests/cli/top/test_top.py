"""`top` in a real terminal, which is a pane of a private tmux server; and without a terminal."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
import shlex
from urllib.parse import quote

import pytest
from fakes import FakeBroker, problem, wait_for
from panes import Server, until
from running import ROOT, Broker, package_launcher

from bridge.cli.commands.top.columns import COLUMNS

# An id may not have control characters, but it may have bidi controls and wide characters.
HOSTILE = "evil\u202e漢字"
QUICK = "--top-overview 50 --reconnect-base 10 --reconnect-max 50"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        running.register("lucy", type="claude", metadata={"session": "dev-lucy", "paneId": "0"})
        for agent, count in (("lucy", 1), ("max", 3), (HOSTILE, 2)):
            for number in range(count):
                running.send(quote(agent), f"text {number}\x1b[31m for {agent}")
        yield running


class Top:
    """A shell in a pane, with `top` running in it."""

    def __init__(
        self,
        server: Server,
        url: str,
        *flags: str,
        width: int = 80,
        height: int = 24,
        **environment: str,
    ) -> None:
        self.server = server
        self.pane = server.open("env 'PS1=$ ' bash --norc --noprofile", width, height)
        self.pane.wait_shown("$")
        self.pane.type("echo before; stty -a | grep -v rows >one")
        self.pane.keys("Enter")
        # Text that is typed before the prompt would be on the screen twice.
        until(lambda: self.pane.screen().rstrip().endswith("before\n$"), "the prompt")
        settings = {"PYTHONPATH": str(ROOT), "BRIDGE_BROKER_URL": url, **environment}
        words = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
        top = f"{shlex.join(package_launcher())} top {QUICK} {' '.join(flags)}"
        self.pane.type(
            f"env {' '.join(words)} {top} 2>said; echo status $?; stty -a | grep -v rows >two"
        )
        self.pane.keys("Enter")

    def rows(self) -> list:
        """The rows of the screen as they are: not joined, and not trimmed."""
        return self.server("capture-pane", "-p", "-t", self.pane.id).split("\n")

    def wait(self, pattern: str) -> list:
        try:
            until(lambda: re.search(pattern, "\n".join(self.rows()), re.M), repr(pattern))
        except AssertionError as error:
            raise AssertionError(f"{error}; there is\n" + "\n".join(self.rows())) from None
        return self.rows()

    def press(self, *keys: str) -> None:
        self.pane.keys(*keys)

    def resize(self, width: int, height: int) -> None:
        self.server("resize-window", "-t", self.pane.session, "-x", str(width), "-y", str(height))

    def quit(self, key: str = "q", status: int = 0) -> None:
        """End `top`, and check that the terminal is as it was before."""
        self.press(key)
        rows = self.wait(rf"^status {status}$")
        assert any("before" in row for row in rows) and not any("BACKLOG" in row for row in rows), (
            "the screen from before is back"
        )
        self.press("Enter")
        until(
            lambda: (self.server.folder / "two").exists() and self.pane.get("cursor_flag") == "1",
            "the cursor",
        )
        assert (self.server.folder / "one").read_text() == (
            self.server.folder / "two"
        ).read_text(), "stty"
        said = (self.server.folder / "said").read_text().splitlines()
        assert [line for line in said if not line.startswith("Executing")] == [], (
            "other lines than those of asyncio's debug mode about a slow machine"
        )


def agents_of(rows: list) -> list:
    """The names in the table of agents, in their order."""
    start = next(index for index, row in enumerate(rows) if "AGENT" in row)
    end = next(index for index, row in enumerate(rows) if row.startswith("TICKETS"))
    return [row[2:].split()[0] for row in rows[start + 1 : end] if row.strip()]


def test_resizes_sorting_a_filter_all_views_and_a_restored_terminal(server, broker):
    top = Top(server, broker.url)
    top.wait(" live$")
    rows = top.wait("^TICKETS 6")
    shown = "evil\\u{202e}漢字"
    assert (
        agents_of(rows) == ["max", shown, "lucy"]
        and rows[0].endswith(" live")
        and "6 pending" in rows[1]
    )
    assert any("text 2␛[31m for max" in row for row in rows)
    top.resize(40, 24)
    rows = top.wait("^  AGENT +▼BACKLOG WAITS FOR *$")
    assert agents_of(rows)[0] == "max" and max(map(len, rows)) <= 40
    top.resize(120, 30)
    rows = top.wait("AGENT +▼BACKLOG +OLDEST +STATUS +TIER +HEALTH .*WAITS FOR")
    assert "dev-lucy:0" in "\n".join(rows)
    top.press("s", "s", "s", "s", "s", "s", "s", "s", "s", "s")  # through all columns but one
    assert agents_of(top.wait("AGENT▲")) == [shown, "lucy", "max"]
    top.press("r")
    assert agents_of(top.wait("AGENT▼")) == ["max", "lucy", shown]
    top.press("/", "l", "u", "Enter")
    top.wait(r"filter: lu \(1 of 3\)")
    top.press("Escape", "Down", "Enter")
    top.wait("^agent +lucy")
    rows = top.wait(r"text 0␛\[31m for lucy")
    top.press("Enter")
    top.wait("^now  no watcher is connected for lucy")
    assert "text 0␛[31m for lucy" in "\n".join(top.rows())
    top.press("?")
    top.wait("^KEYS")
    top.press("Escape")
    top.wait("^now  no watcher")
    top.quit()


def test_a_broker_that_goes_and_comes_back(server, tmp_path):
    broker = Broker(package_launcher(), tmp_path / "bridge.db")
    with broker:
        broker.send("lucy", "before")
        top = Top(server, broker.url, TERM="screen-256color")
        top.wait("^TICKETS 1")
        broker.kill()
        top.wait("BROKER LOST since .*, trying again$")
        assert any("lucy" in row for row in top.rows()), "the rows are still shown"
        broker.flags = ["--port", str(broker.port)]
        broker.start()
        top.wait(" live$")
        broker.send("max", "after")
        assert any("accepted" in row for row in top.wait("ui > max .* after$"))
        top.quit("C-c", 130)


def test_a_broker_without_streams_is_polled(server, tmp_path):
    with Broker(package_launcher(), tmp_path / "bridge.db", DISABLE_SSE="true") as broker:
        top = Top(server, broker.url)
        top.wait(" polling$")
        broker.send("lucy", "after")
        top.wait("^ .lucy +1 ")
        assert "switched off" in top.rows()[23]
        broker.kill()
        top.wait("BROKER LOST")
        broker.flags = ["--port", str(broker.port)]
        broker.start()
        top.wait(" polling$")
        top.quit()


@pytest.mark.parametrize(
    "environment, colours",
    [
        ({"TERM": "screen"}, True),
        ({"TERM": "screen", "NO_COLOR": "1"}, False),
        ({"TERM": "screen", "LC_ALL": "C"}, True),
    ],
)
def test_terminals_without_colours_or_unicode(server, broker, environment, colours):
    top = Top(server, broker.url, **environment)
    rows = top.wait("^TICKETS 6")
    painted = server("capture-pane", "-p", "-e", "-t", top.pane.id)
    assert (re.search(r"\x1b\[(\d+;)*3[1-6]m", painted) is not None) is colours
    if "LC_ALL" in environment:
        assert (
            all(row.isascii() for row in rows)
            and "evil\\u{202e" in "\n".join(rows).replace("\\\\", "\\")
            and "vBACKLOG" in "\n".join(rows)
        )
    top.press("q")
    top.wait("^status 0$")


def test_a_hang_up_ends_it(server, broker):
    pane = server.open(
        f"env PYTHONPATH={ROOT} BRIDGE_BROKER_URL={broker.url} {shlex.join(package_launcher())} top"
    )
    until(
        lambda: any(row.startswith("TICKETS") for row in pane.screen().split("\n")), "the picture"
    )
    process = int(pane.get("pane_pid"))
    server("kill-session", "-t", pane.session)
    until(lambda: not is_running(process), "its end")


def is_running(process: int) -> bool:
    """Whether the process runs; a zombie (proc(5)) does not."""
    try:
        return (
            pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_a_terminal_it_is_one_table(broker, program_for):
    program = program_for(broker.url)
    rows = program.run("top", "--sort", "agent").splitlines()
    assert re.split(r"  +", rows[0]) == [column.title for column in COLUMNS]
    assert (
        [row.split()[0] for row in rows[1:]] == ["evil\\u{202e}漢字", "lucy", "max"]
        and "dev-lucy:0" in rows[2]
        and rows[3].endswith("no watcher")
    )
    assert program.stderr == ""
    assert [
        row.split()[0]
        for row in program.run("top", "--once", "--filter", "LUC", "--reverse").splitlines()[1:]
    ] == ["lucy"] and program.stderr == ""
    assert [
        agent["agentId"] for agent in json.loads(program.run("top", "--json"))["agents"]
    ] == sorted(["lucy", "max", HOSTILE])
    program.run("top", "--sort", "nonsense", status=2)
    program_for("http://127.0.0.1:1").run("top", "--once", status=3)


def test_an_older_broker_is_an_error_that_says_so(program_for):
    async def handler(asked, writer):
        return problem(404, "no such thing")

    async def play():
        async with FakeBroker(handler) as broker:
            program = program_for(broker.url)
            with program.running("top", "--once") as top:
                await wait_for(
                    lambda: top.process.poll() is not None and top.complaints(), "its end"
                )
                assert (
                    top.process.returncode == 4
                    and "is older than this command: it has no /overview" in top.complaints()[0]
                )

    asyncio.run(play())


def test_a_terminal_without_cursor_movement_gets_one_table(server, broker):
    for term, words in (
        ("dumb", "cannot move its cursor"),
        ("no-such-terminal", "has no terminal type"),
    ):
        settings = f"TERM={term} PYTHONPATH={ROOT} BRIDGE_BROKER_URL={broker.url}"
        pane = server.open(f"sh -c '{settings} {shlex.join(package_launcher())} top; cat'", 120)
        pane.wait_shown(words)
        assert pane.is_shown("WAITS FOR")
