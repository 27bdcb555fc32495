"""Evidence that a ticket's text was submitted; what an acknowledgement carries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """That the text was submitted; travels in the acknowledgement and is printed by `show`."""

    pane: str  # for people
    form: str  # agent, shell, repl
    submitted_at: str
    # Of an agent: the screen showed the text before Enter, and that Enter was taken; no person's key fell in between.
    # Of a command: `show` said that it ran.
    verified: bool
    pane_id: str = ""
    tty: str = ""
    is_opaque: bool = False  # the command ran in another terminal within the pane
    note: str = ""  # why it is not verified, where that is the command's own doing

    def to_json(self) -> dict[str, object]:
        said = {
            "pane": self.pane,
            "form": self.form,
            "submittedAt": self.submitted_at,
            "verified": self.verified,
        }
        return {**said, "note": self.note} if self.note else said

    def is_from_here(self, pane: str, tty: str) -> bool:
        """Did a `show` that named its pane and its terminal so run where the command was typed?"""
        return self.is_opaque or (tty == self.tty if tty else pane == self.pane_id)
