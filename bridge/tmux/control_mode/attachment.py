"""A control client that connects early and attaches late, so that tmux never takes it for a person.

tmux shows the output of a script (`tmux display-message`, `display-popup`, ...) in the client that
connected, or typed, last. A client's time is that of its connection, not of its attaching. So our
client connects, and waits at a gate. The gate opens when a person has typed after our client
connected: from then on the person's client is the later one.

    tmux -C run-shell -b -d 120 -C "wait-for -S NAME" ; wait-for NAME ;
            if-shell -F "#{@NAME}" "set-option -su @NAME ; attach-session ..."

When the gate opens and the option is set, the client attaches. If the option is not set, the client
has nothing more to do and ends. It also ends after two minutes. A client at a gate cannot notice
anything else, not even that our process was killed, and it keeps its server alive.
"""

from __future__ import annotations

import secrets

STAY = 120  # seconds at the gate
# -E: without it our environment would become the session's (update-environment).
ATTACH = ("attach-session", "-E", "-f", "ignore-size,no-output", "-t")


class Attachment:
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
