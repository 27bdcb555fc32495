"""What Claude Code says of its own session: idle, busy, or waiting for an answer.

Each session keeps a file `sessions/PID.json` in its configuration folder ($CLAUDE_CONFIG_DIR, else ~/.claude):

    {"pid": 4711, "procStart": "139902", "status": "idle" | "busy" | "waiting", "waitingFor": "dialog open", ...}

The file is not documented; seen with 2.1.197 and 2.1.332. It stays behind when a session is killed, so the
process's start time must be the same. What is missing or cannot be read says nothing.
"""

from __future__ import annotations

import json
import os

FILE_MAX = 65536  # bytes; a session's file has some 400
STATUSES = frozenset({"idle", "busy", "waiting"})


def claude_status(process: str) -> str:
    """ "idle", "busy", "waiting", or "" where nothing is known. `process` is Terminal.process: "PID-START"."""
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
    """The configuration folder, by the environment that the process was started with (proc(5), environ)."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = (pair.partition(b"=") for pair in file.read(1 << 20).split(b"\0"))
        environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    home = environment.get("HOME") or os.path.expanduser("~")
    return environment.get("CLAUDE_CONFIG_DIR") or os.path.join(home, ".claude")
