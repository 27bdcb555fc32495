"""Evidence that a ticket's text was submitted; what an acknowledgement carries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """That the text was submitted; travels in the acknowledgement and is shown by `show`."""

    pane: str
    form: str
    submitted_at: str
    verified: bool  # the screen showed the text before Enter, and that Enter was taken; no person's key fell in between

    def to_json(self) -> dict[str, object]:
        return {"pane": self.pane, "form": self.form, "submittedAt": self.submitted_at, "verified": self.verified}
