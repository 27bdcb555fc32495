"""To which session may a control client attach, so that no person notices?

A control client must be attached to a session, and an attached client has effects. Found by
experiment (tmux 3.3a):

    destroy-unattached, exit-unattached   we keep a session that a person has left, or destroy it
                                          when we leave
    the session has no other client       a bell no longer marks the window, and old marks vanish
    focus-events on                       ESC [ I is typed into the program in the pane, which
                                          means "you have the focus"
    hooks (client-attached, ...)          run for our client
    a status line that counts clients     counts our client
    `tmux display-message` in a script    goes to the client that connected, or typed, last
    it is killed during a command         tmux 3.3a's server writes to it, and ends with a
                                          segmentation fault

The last one cannot be avoided. So no client is attached unless the user asks for it. The first is
never accepted. The policy "auto" accepts none of the others. For display-message our client
connects early and attaches late (attachment.py). It attaches where a person has typed most
recently after it connected, and leaves when no person has typed there since. The policy "on" is
for sessions to which none of these applies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

VERSION_MIN = (3, 2)  # attach-session -f ignore-size,no-output
SESSIONS = (
    "session #{version} #{session_id} #{destroy-unattached} #{exit-unattached} #{focus-events} "
    "#{m:*attached*,#{status-left}#{status-right}#{status-format}}"
)
CLIENTS = "client #{client_control_mode} #{session_id} #{client_activity}"
_HOOK = re.compile(
    r"(client-(?:attached|detached|session-changed)|after-attach-session)(?:\[\d+\])? +\S.*"
)
_OFF = {"0", "off", ""}


@dataclass(frozen=True)
class Grounds:
    """What tmux reports about one session."""

    session_id: str
    version: tuple[int, int]
    destroys_unattached: bool
    exits_unattached: bool
    tells_focus: bool
    counts_clients: bool
    typed_at: int  # a person's last activity here, by tmux's clock; 0: no person is attached

    def objection(self, policy: str, came_at: int = 0) -> str | None:
        """Why no control client may be attached here; None when it may.

        `came_at`: when our client connected; 0: not yet.
        """
        if self.version < VERSION_MIN:
            return (
                f"tmux {self.version[0]}.{self.version[1]} "
                f"is older than {VERSION_MIN[0]}.{VERSION_MIN[1]}"
            )
        if self.exits_unattached or self.destroys_unattached:
            return (
                "exit-unattached or destroy-unattached is on: "
                "an attached client would keep a session that a person has left"
            )
        if policy == "on":
            return None
        if not self.typed_at:
            return "nobody is attached: bells would no longer mark the window"
        if self.tells_focus:
            return "focus-events is on: the program in the pane would get a focus event"
        if self.counts_clients:
            return "the status line counts clients"
        if came_at and self.typed_at <= came_at:
            return (
                "nobody has typed since our client connected: "
                "tmux would show the messages of scripts in our client"
            )
        return None


def read_grounds(lines: Iterable[str]) -> list[Grounds]:
    """Parse the output of SESSIONS and CLIENTS. The session with the latest key comes first."""
    rows = [line.split(" ") for line in lines]
    typed: dict[str, int] = {}
    for row in rows:
        if row[:2] == ["client", "0"] and len(row) == 4:
            typed[row[2]] = max(typed.get(row[2], 0), int(row[3]))
    found = [
        Grounds(
            row[2],
            _version(row[1]),
            row[3] not in _OFF,
            row[4] not in _OFF,
            row[5] not in _OFF,
            row[6] not in _OFF,
            typed.get(row[2], 0),
        )
        for row in rows
        if row[0] == "session" and len(row) == 7
    ]
    return sorted(found, key=lambda session: -session.typed_at)


def choose_anchor(
    sessions: list[Grounds], policy: str, came_at: int = 0
) -> tuple[Grounds | None, str]:
    """(the first session that a client may attach to, ""), or (None, the reason why none may).

    "auto" takes the session where a person typed last, or none. In any other session our client
    would be the latest one for tmux.
    """
    objections = [
        (session, session.objection(policy, came_at))
        for session in (sessions if policy == "on" else sessions[:1])
    ]
    for session, objection in objections:
        if objection is None:
            return session, ""
    return None, str(objections[0][1]) if objections else "there is no session"


def hook_among(lines: Iterable[str]) -> str:
    """The name of the first hook that our client would trigger; "" for none."""
    return next((match[1] for match in map(_HOOK.fullmatch, lines) if match), "")


def _version(text: str) -> tuple[int, int]:
    match = re.search(r"(\d+)\.(\d+)", text)
    # Without a number: "master". Empty: before tmux 2.4.
    return (int(match[1]), int(match[2])) if match else (99, 0) if text else (0, 0)
