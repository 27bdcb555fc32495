"""The status that Claude Code records for its session: idle, busy, or waiting for an answer.

Each session has a file `sessions/PID.json` in its configuration folder ($CLAUDE_CONFIG_DIR, else
~/.claude):

    {"pid": 4711, "procStart": "139902", "status": "idle" | "busy" | "waiting",
     "waitingFor": "dialog open", ...}

The file is not documented; seen with 2.1.197 and 2.1.332. A session that is killed leaves its file.
So the process's start time must be the same. A missing or unreadable file gives no status.
"""

from __future__ import annotations

import json
import os

FILE_MAX = 65536  # bytes; a session's file has some 400
STATUSES = frozenset({"idle", "busy", "waiting"})


def claude_status(process: str) -> str:
    """The status: "idle", "busy", "waiting", or "" for unknown.

    `process` is Terminal.process: "PID-START".
    """
    pid, _, start = process.partition("-")
    if not pid.isdigit():
        return ""
    try:
        with open(os.path.join(_folder(pid), "sessions", pid + ".json"), encoding="utf-8") as file:
            session = json.loads(file.read(FILE_MAX))
    except (OSError, ValueError):
        return ""
    if not isinstance(session, dict) or str(session.get("procStart", start)) != start:
        return ""
    status = session.get("status")
    return status if isinstance(status, str) and status in STATUSES else ""


def _folder(pid: str) -> str:
    """The configuration folder, from the environment at the process's start (proc(5), environ)."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = (pair.partition(b"=") for pair in file.read(1 << 20).split(b"\0"))
        environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    home = environment.get("HOME") or os.path.expanduser("~")
    return environment.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")
