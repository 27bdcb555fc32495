"""To which session may a control client attach, so that nobody notices?

A control client has to be attached to some session, and to be attached changes things. Found by experiment (tmux 3.3a):

    destroy-unattached, exit-unattached   we keep alive what a person has let go, or our leaving destroys it
    the session has nobody else           a bell no longer marks the window, and marks that stood there vanish
    focus-events on                       ESC [ I is typed into the program in the pane: "you have the focus"
    hooks (client-attached, ...)          run for us
    a status line that counts clients     counts us
    `tmux display-message` from a script  goes to the client that came, or typed, last
    it is killed with commands under way  tmux 3.3a's server writes to it all the same, and ends with a segmentation fault

The last cannot be helped, and is why no client is attached unless somebody says so. The first is never accepted. "auto"
accepts none of the others. For display-message our client comes early and attaches late (gate.py): it attaches where a
person has typed most recently, after it came, and leaves when nobody there has. "on" is for those who know that their
sessions have none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

VERSION_MIN = (3, 2)  # attach-session -f ignore-size,no-output
SESSIONS = "session #{version} #{session_id} #{destroy-unattached} #{exit-unattached} #{focus-events} #{m:*attached*,#{status-left}#{status-right}#{status-format}}"
CLIENTS = "client #{client_control_mode} #{session_id} #{client_activity}"
_HOOK = re.compile(
    r"(client-(?:attached|detached|session-changed)|after-attach-session)(?:\[\d+\])? +\S.*"
)
_OFF = {"0", "off", ""}


@dataclass(frozen=True)
class Grounds:
    """What was seen of one session."""

    session_id: str
    version: tuple[int, int]
    destroys_unattached: bool
    exits_unattached: bool
    tells_focus: bool
    counts_clients: bool
    typed_at: int  # when a person did something here last, in seconds of tmux's clock; 0: nobody is attached

    def objection(self, policy: str, came_at: int = 0) -> str | None:
        """Why no control client may be attached here; None when it may. `came_at`: when ours came, once it has."""
        if self.version < VERSION_MIN:
            return f"tmux {self.version[0]}.{self.version[1]} is older than {VERSION_MIN[0]}.{VERSION_MIN[1]}"
        if self.exits_unattached or self.destroys_unattached:
            return "exit-unattached or destroy-unattached is on: being attached would keep alive what a person has let go"
        if policy == "on":
            return None
        if not self.typed_at:
            return "nobody is attached: bells would no longer mark the window"
        if self.tells_focus:
            return "focus-events is on: the program in the pane would be told that it has the focus"
        if self.counts_clients:
            return "the status line counts clients"
        if came_at and self.typed_at <= came_at:
            return "nobody has typed since our client came: tmux would show it what a script has to say"
        return None


def read_grounds(lines: Iterable[str]) -> list[Grounds]:
    """Read what SESSIONS and CLIENTS printed; where a person typed last comes first."""
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
    """(the first session that may be attached to, ""), else (None, why none may). "auto" takes that where a person typed last,
    or none: to be attached to makes any other one the latest, for tmux."""
    objections = [
        (session, session.objection(policy, came_at))
        for session in (sessions if policy == "on" else sessions[:1])
    ]
    for session, objection in objections:
        if objection is None:
            return session, ""
    return None, str(objections[0][1]) if objections else "there is no session"


def hook_among(lines: Iterable[str]) -> str:
    """The name of the first hook that would run for our coming or going; "" when there is none."""
    return next((match[1] for match in map(_HOOK.fullmatch, lines) if match), "")


def _version(text: str) -> tuple[int, int]:
    match = re.search(r"(\d+)\.(\d+)", text)
    return (
        (int(match[1]), int(match[2])) if match else (99, 0) if text else (0, 0)
    )  # "master" | before 2.4
