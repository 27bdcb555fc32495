"""A control client that comes early and attaches late, so that tmux never takes it for the person.

What a script shows (`tmux display-message`, `display-popup`, ...) tmux gives to the client that came, or typed, last. A
client's time is that of its connection, not of its attaching. So ours connects, waits at a gate, and is let through when a
person has typed after it came: from then on he is the later one.

    tmux -C run-shell -b -d 120 -C "wait-for -S NAME" ; wait-for NAME ; if-shell -F "#{@NAME}" "set-option -su @NAME ; attach-session ..."

Let through, it attaches. Turned away (the option is not set), it has nothing more to do, and ends; so it does after two
minutes: a client at a gate hears nothing else, not even that we were killed, and keeps its server alive.
"""

from __future__ import annotations

import secrets

STAY = 120  # seconds at the gate
ATTACH = (
    "attach-session",
    "-E",
    "-f",
    "ignore-size,no-output",
    "-t",
)  # -E: else our environment would become the session's (update-environment)


class Gate:
    """The commands of one gate, each as an argument list."""

    def __init__(self, session_id: str) -> None:
        name = f"bridge-{secrets.token_hex(8)}"
        attach = " ".join(["set-option", "-su", f"@{name}", ";", *ATTACH, f"'{session_id}'"])
        self.close = ["wait-for", "-S", name]
        self.wait = [
            "run-shell",
            "-b",
            "-d",
            str(STAY),
            "-C",
            " ".join(self.close),
            ";",
            "wait-for",
            name,
            ";",
            "if-shell",
            "-F",
            f"#{{@{name}}}",
            attach,
        ]
        self.open = ["set-option", "-s", f"@{name}", "1", ";", *self.close]
