"""A ticket that was typed before: what became of it, from the pane's marks and its screen.

The watcher may have crashed, or the text may not have appeared in time. Then the pane's marks
(pane_marks.py) still record what was done, and the next call continues from there:

    Enter was pressed, the program runs      was the text taken? never typed again
    Enter was pressed, the program has       not taken, and seen there until shortly before:
      ended with the text in its input         may be typed again. Else Uncertain
    pasted, the program has ended            may be typed again: the text has ended with it
    pasted, the text is in the input         press Enter
    pasted, a command, its line is empty     may be typed again
    pasted, an agent's text, and it is       taken, if the transcript shows it: a person pressed
      no longer in the input                   Enter. Else Uncertain

Uncertain means: the text may have been taken while no look saw it. It is not typed again.
"""

from __future__ import annotations

import re
from typing import Callable

from bridge.errors import HalfDelivered, Uncertain
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.injection import ticket_text
from bridge.tmux.injection.pane_marks import Pasted, Sent, mark_of
from bridge.tmux.injection.pasted_text import ComposerState, PastedText
from bridge.tmux.injection.submit import Submitter, now_ms
from bridge.tmux.injection.typed_line import holds_command
from bridge.tmux.readiness.observer import PaneObserver
from bridge.tmux.readiness.program import Sight
from bridge.tmux.readiness.prompts import looks_like_prompt
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import is_alive

# Beyond enter_wait. A watcher that is at work sees a text in the input more often than this.
_SEEN_MS = 5000
# Beyond verify_timeout. A pasted text may still appear on the screen within it.
LATE_MS = 2000

Submission = tuple[str, int, bool]  # form, when in ms since 1970, was it seen to be taken?


class Resumption:
    """For one pane. `text` makes the exact text of a ticket for the program in it."""

    def __init__(
        self,
        observer: PaneObserver,
        submitter: Submitter,
        settings: TmuxSettings,
        template: str,
        text: Callable[[Ticket, Sight], str],
    ) -> None:
        self._observer = observer
        self._submitter = submitter
        self._settings = settings
        self._template = template
        self._text = text

    def went_with(self, sent: Sent, state: PaneState) -> bool:
        """Has the program ended without taking the text? Raises Uncertain.

        If the last look that saw the text is too old, the program may have taken it since then.
        """
        if not has_ended(sent.stands_in, state):
            return False
        if now_ms() - sent.seen_ms > self._settings.enter_wait + _SEEN_MS:
            raise Uncertain(
                f"the program in {self._observer.label} has ended, "
                "and may have taken the text before; it is not typed again"
            )
        return True

    async def resume(
        self, ticket: Ticket, state: PaneState, pasted: Pasted, time_left: Callable[[], float]
    ) -> Submission | None:
        """The text was pasted, and we pressed no Enter: after a crash, or it did not show in time.

        None: it is a command, and its line is empty, so it may be typed again. Raises
        HalfDelivered, Uncertain, PaneLost, TmuxError.
        """
        sight, mark = self._observer.sight(state), mark_of(ticket.ticket_id)
        if pasted.process != state.process:
            raise self._in_background(ticket)
        text, verdict = self._text(ticket, sight), self._observer.judge(state)
        if sight.is_command:
            is_start = _is_nothing if state.terminal.canonical else looks_like_line_start
            if holds_command(state, text, is_start):
                return await self._submitter.submit_command(state, text, is_start, mark, time_left)
            return None  # the pane must be ready, as for a new one
        draft = PastedText.of(text)
        if draft.standing(sight) is ComposerState.WHOLE:
            return await self._submitter.submit(draft, mark, time_left, is_new=False)
        is_late = now_ms() - pasted.at_ms < self._settings.verify_timeout + LATE_MS
        is_free = verdict.ready and not is_late
        if is_free and draft.is_in_transcript(state):  # a person has pressed Enter
            return sight.form or "agent", now_ms(), False
        if is_free:
            raise Uncertain(
                f"ticket {ticket.ticket_id} was pasted into {self._observer.label} "
                "and is no longer in its input; it is not typed again"
            )
        raise HalfDelivered(
            f"ticket {ticket.ticket_id} was pasted and waits for its Enter: {verdict.reason}"
        )

    async def is_taken(self, ticket: Ticket, state: PaneState) -> bool:
        """Enter was pressed in an agent before. Raises HalfDelivered, Uncertain, PaneLost."""
        sight, mark = self._observer.sight(state), mark_of(ticket.ticket_id)
        pasted = Pasted.read(state.pasted, mark)
        if sight.form == "agent" and (pasted is None or pasted.process == state.process):
            return await self._submitter.wait_taken(
                PastedText.of(self._text(ticket, sight)), mark, state
            )
        if pasted is not None and is_alive(pasted.process):
            raise self._in_background(ticket)
        draft = PastedText.of(
            ticket_text.agent_text(ticket, self._settings.body_cap, self._template)
        )
        if draft.is_in_transcript(state):
            return False  # the agent has ended; its transcript, still on the screen, shows the text
        raise Uncertain(
            f"the program in {self._observer.label} that got ticket {ticket.ticket_id} "
            "has ended, and was not seen to take it"
        )

    def _in_background(self, ticket: Ticket) -> HalfDelivered:
        return HalfDelivered(
            f"ticket {ticket.ticket_id} stands in a program of {self._observer.label} "
            "that is in the background now"
        )


def has_ended(process: str, state: PaneState) -> bool:
    """Has the process ended that got the text? "" stands for no process: False."""
    if process in ("", state.process):
        return False
    return not is_alive(process)


def _is_nothing(head: str) -> bool:
    """A shell without a line editor shows nothing before our command (typed_ahead.py)."""
    return head == ""


def looks_like_line_start(head: str) -> bool:
    """After a crash the earlier prompt is not known."""
    return looks_like_prompt(head) or re.fullmatch(r">>> ?|> ?", head) is not None
