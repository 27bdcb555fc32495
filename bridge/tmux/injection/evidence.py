"""The evidence that a ticket's text was submitted. An acknowledgement carries it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """Proof that the text was submitted. The acknowledgement carries it, and `show` prints it."""

    pane: str  # its label, for a person
    form: str  # agent, shell, repl
    submitted_at: str
    # For an agent: the screen showed the text before Enter, and that Enter was taken; no person
    # pressed a key in between. For a command: `show` reported that it ran.
    verified: bool
    pane_id: str = ""
    tty: str = ""
    is_opaque: bool = False  # the command ran in another terminal within the pane
    note: str = ""  # why it is not verified, if the command itself is the reason

    def to_json(self) -> dict[str, object]:
        fields = {
            "pane": self.pane,
            "form": self.form,
            "submittedAt": self.submitted_at,
            "verified": self.verified,
        }
        return {**fields, "note": self.note} if self.note else fields

    def is_from_here(self, pane: str, tty: str) -> bool:
        """Did the `show` that reported this pane and terminal run where the command was typed?"""
        return self.is_opaque or (tty == self.tty if tty else pane == self.pane_id)
