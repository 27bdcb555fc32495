"""Reading Claude Code's session file, which holds its status, for a real process of the test."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from pictures import CLAUDE, RAW, RULED, STILL, pane

from bridge.tmux.readiness.claude_registry import FILE_MAX, claude_status
from bridge.tmux.readiness.verdict import judge

WAITS = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def session(tmp_path):
    """Start a process with its own configuration folder.

    Yields (Terminal.process, the path of its session file).
    """
    environment = {"PATH": os.environ["PATH"], "CLAUDE_CONFIG_DIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", WAITS],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stdout.readline() == b"up\n"
    (tmp_path / "sessions").mkdir()
    start = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    yield f"{child.pid}-{start}", tmp_path / "sessions" / f"{child.pid}.json"
    child.communicate(b"")


def write(session, **fields) -> str:
    process, path = session
    pid, _, start = process.partition("-")
    path.write_text(json.dumps({"pid": int(pid), "procStart": start, **fields}), encoding="utf-8")
    return claude_status(process)


@pytest.mark.parametrize("status", ["idle", "busy", "waiting"])
def test_a_known_status_is_returned(session, status):
    assert write(session, status=status, waitingFor="dialog open") == status


def test_a_file_without_a_start_time_is_accepted(session):
    process, path = session
    path.write_text('{"status": "busy"}', encoding="utf-8")
    assert claude_status(process) == "busy"


@pytest.mark.parametrize(
    "fields", [{}, {"status": "new"}, {"status": 5}, {"status": ["idle"]}, {"status": None}]
)
def test_an_unknown_status_is_ignored(session, fields):
    assert write(session, **fields) == ""


def test_the_file_of_a_killed_session_is_ignored(session):
    assert write(session, status="idle", procStart="1") == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"status": "idle"' + b" " * FILE_MAX + b"}"],
)
def test_an_unreadable_file_is_ignored(session, content):
    process, path = session
    assert claude_status(process) == ""
    path.write_bytes(content)
    assert claude_status(process) == ""


@pytest.mark.parametrize("process", ["", "-", "x-1", "../1-2", "0-1", f"{2**31}-1"])
def test_an_invalid_process_id_has_no_status(process):
    assert claude_status(process) == ""


def test_the_default_configuration_folder_is_in_the_home(tmp_path):
    (tmp_path / ".claude" / "sessions").mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-I", "-c", WAITS],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        (tmp_path / ".claude" / "sessions" / f"{child.pid}.json").write_text(
            '{"status": "busy"}', encoding="utf-8"
        )
        assert claude_status(f"{child.pid}-1") == "busy"
        child.communicate(b"")


@pytest.mark.parametrize(
    ("session", "picture", "rule"),
    [
        ("idle", CLAUDE, "agent_prompt"),
        # The session file wins over text on the screen.
        ("idle", "esc to interrupt\n" + CLAUDE, "agent_prompt"),
        ("busy", CLAUDE, "working"),
        ("waiting", CLAUDE, "dialog"),
        ("idle", RULED.format("❯ x█"), "prompt"),  # the file does not mention a draft
        ("idle", "█", "prompt"),
        ("", "esc to interrupt\n" + CLAUDE, "working"),
    ],
)
def test_the_session_files_status_comes_before_the_screen(session, picture, rule):
    assert judge(pane(picture, "claude", RAW, session=session), STILL).rule == rule
