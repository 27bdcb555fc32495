"""From a text in the input to a submitted ticket: press Enter, and find out what became of it.

    pasted ─► seen, complete and still ─► guarded Enter ─► taken?
                                            ▲                │
                                            └─── UNCHANGED ──┘

Each look classifies the text, and one table says what follows (draft_state.py). This module only
looks, does what the table says, and puts the error into words.

Enter is the only key that is ever pressed twice. The pane's mark records the Enter in the same
tmux command, before its effect is known. So after a crash or a pause a later call only has to find
out what became of the text, and never types it again.

A text that is still in the input does not count as submitted. The mark records that, too, and when
the text was last seen there. If the program ends soon after, the text is lost with it, and the
next program gets it.

A shell's command is checked in the same way: it must be in the line behind the prompt, exactly,
before Enter is pressed. A shell in vi mode takes a paste as commands, and a widget may swallow it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from bridge.errors import HalfDelivered, PaneError, PaneLost, TmuxError, Uncertain
from bridge.settings import TmuxSettings
from bridge.tmux.injection.draft_state import NEXT_STEP, DraftState, EnterStep, classify_draft
from bridge.tmux.injection.pane_marks import Sent
from bridge.tmux.injection.pasted_text import PastedText
from bridge.tmux.injection.typed_line import holds_command
from bridge.tmux.readiness.objections import person_objection, tmux_objection
from bridge.tmux.readiness.observer import PaneObserver
from bridge.tmux.readiness.program import Sight
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import has_unread

STEP = 0.02  # seconds between looks while a paste or an Enter takes effect: they take 20 to 300 ms
SHELL_STEP = 0.002  # seconds: a line editor shows a paste within a few ms
ENTER_DELAYS = (0.3, 0.6, 2.0)  # seconds to wait after each further Enter; the last one repeats

# How a call ends that has pressed Enter and has not seen it taken.
_UNTAKEN: dict[EnterStep, tuple[type[PaneError], str]] = {
    EnterStep.EDITED: (
        HalfDelivered,
        "the program in {pane} did not take the Enter, "
        "and a person has changed the text, or typed behind it",
    ),
    EnterStep.UNCLEAR: (
        HalfDelivered,
        "Enter was pressed in {pane}, and it cannot be seen yet what became of the text",
    ),
    EnterStep.OBJECTED: (
        HalfDelivered,
        "the text still stands in the input of {pane}: {objection}",
    ),
    EnterStep.STUCK: (
        Uncertain,
        "the text stands in the input of {pane}, "
        "which does not take the Enter: press it there, or clear the input",
    ),
}

TimeLeft = Callable[[], float]  # seconds for which the claim is certainly valid


class Submitter:
    """For one pane."""

    def __init__(self, observer: PaneObserver, settings: TmuxSettings) -> None:
        self._observer = observer
        self._settings = settings
        self._retries = 0  # how often Enter was pressed again, so far
        self.submitted = -1e9  # monotonic seconds of the last submission

    async def submit_command(
        self,
        state: PaneState,
        command: str,
        is_prompt: Callable[[str], bool],
        mark: str,
        time_left: TimeLeft,
    ) -> tuple[str, int, bool]:
        """A command was pasted behind a shell's or a REPL's prompt: see it there, press Enter.

        `state` is the first look after the paste. Returns (form, when in ms since 1970, was it
        seen there?). Raises PaneNotReady, PaneLost, TmuxError.
        """
        until = time.monotonic() + self._settings.verify_timeout / 1000
        while True:
            sight = self._observer.sight(state)
            objection = tmux_objection(sight) or person_objection(sight)
            is_there = holds_command(state, command, is_prompt)
            step = NEXT_STEP[
                DraftState.UNCHANGED if is_there else DraftState.UNSEEN,
                objection is not None,
                objection is None and time.monotonic() < until,
            ].before
            if step is EnterStep.PRESS:
                break
            if step is not EnterStep.LOOK:
                reason = objection or "it does not stand behind the prompt as it was typed"
                raise HalfDelivered(
                    f"the command was pasted into {self._observer.label}, "
                    f"and Enter was not pressed: {reason}"
                )
            await asyncio.sleep(SHELL_STEP)
            state = await self._observer.observe()
        return await self._press(state, mark, sight.form or "shell", time_left), now_ms(), True

    async def submit(
        self, draft: PastedText, mark: str, time_left: TimeLeft, is_new: bool = True
    ) -> tuple[str, int, bool]:
        """The draft is in the composer, or will be soon: see it there, press Enter, see it leave.

        A draft that `is_new` gets some time until every objection is gone. For an older one the
        caller tries again and again, so this does not wait. Returns (form, when in ms since 1970,
        was the text seen to be taken, and nothing else with it?). Raises PaneNotReady, Uncertain,
        PaneLost, TmuxError.
        """
        state = await self._wait_draft(draft, is_new)
        looked, now = self._observer.looked_at, now_ms()
        form = await self._press(
            state, mark, self._observer.sight(state).form or "agent", time_left
        )
        try:
            after = await self._observer.observe()
            # A key that a person pressed after our last look may be behind the text, unseen.
            # Enter has then submitted it with the text.
            is_alone = (
                after.human_idle is None or after.human_idle >= self._observer.looked_at - looked
            )
            await self._wait_taken(draft, mark)
        except PaneLost:
            # After Enter the ticket IS submitted. A pane that is lost now leaves it unconfirmed.
            return form, now, False
        return form, now, is_alone

    async def _press(self, state: PaneState, mark: str, form: str, time_left: TimeLeft) -> str:
        left = time_left()
        if left <= 0:
            raise HalfDelivered(
                "the claim ran out before Enter was pressed; another watcher may have the ticket"
            )
        guard = await self._observer.guard_within(state, left)
        await self._observer.guarded(
            guard.enter(self._observer.mark(state.sent, mark, str(Sent(form, now_ms()))))
        )
        self.submitted = time.monotonic()
        return form

    async def wait_taken(self, draft: PastedText, mark: str, state: PaneState) -> bool:
        """Enter was pressed before: was it taken? False where the pane was lost meanwhile.

        Raises PaneNotReady, Uncertain, and PaneLost where the text was in the input until the end.
        """
        sent, retries = Sent.read(state.sent, mark), self._retries
        try:
            await self._wait_taken(draft, mark)
            return True
        except PaneLost:
            if sent is not None and sent.stands_in and self._retries == retries:
                raise
            return False

    async def _wait_draft(self, draft: PastedText, is_new: bool) -> PaneState:
        """Wait until the pasted text is in the composer, complete and still.

        Raises PaneNotReady: a later call resumes.
        """
        until = time.monotonic() + self._settings.verify_timeout / 1000
        reason = "it did not appear in the input"
        while time.monotonic() < until:
            state = await self._observer.observe()
            sight = self._observer.sight(state)
            # tmux reports a person's key at once; the program may show it only after our Enter.
            objection = draft.objection(sight) or person_objection(sight)
            reason = objection or reason
            step = NEXT_STEP[self._classify(draft, sight), objection is not None, is_new].before
            if step is EnterStep.PRESS:
                return state
            if step is not EnterStep.LOOK:
                break
            await asyncio.sleep(STEP)
        raise HalfDelivered(
            f"the text was pasted into {self._observer.label} and waits for its Enter: {reason}"
        )

    async def _wait_taken(self, draft: PastedText, mark: str) -> None:
        """Return when the Enter was taken.

        While exactly the same text is in the input, press Enter again, and no other key.
        """
        wait = self._settings.enter_wait / 1000
        for attempt in itertools.count():  # the table ends it: a try less each time
            sight, draft_state = await self._wait_gone(draft, wait)
            objection = draft.objection(sight) or person_objection(sight) or _unread(sight)
            has_tries = attempt < self._settings.enter_retries
            step = NEXT_STEP[draft_state, objection is not None, has_tries].after
            if step is EnterStep.TAKEN:
                return
            if step is not EnterStep.PRESS:
                await self._give_up(step, objection, mark, sight.state)
            await self._press_again(sight.state, mark)
            wait = ENTER_DELAYS[min(attempt, len(ENTER_DELAYS) - 1)]

    async def _press_again(self, state: PaneState, mark: str) -> None:
        # Counted before Enter is pressed: the pane may be lost in that moment.
        self._retries += 1
        is_pressed = await self._observer.run_guarded(
            self._observer.guard(state).enter(self._with_process(state, mark, ""))
        )
        self._retries -= not is_pressed

    def _classify(self, draft: PastedText, sight: Sight) -> DraftState:
        return classify_draft(draft, sight, self._observer.still >= self._settings.settle / 1000)

    async def _wait_gone(self, draft: PastedText, wait: float) -> tuple[Sight, DraftState]:
        """Look until the text has been gone for as long as a paste must be still (`settle`).

        On a busy machine a shorter absence may be a redraw, by a program that swallowed the Enter.
        """
        seen, gone, until = time.monotonic(), 0, time.monotonic() + wait
        while True:
            sight = self._observer.sight(await self._observer.observe())
            draft_state, now = self._classify(draft, sight), time.monotonic()
            seen, gone = (seen, gone + 1) if draft_state is DraftState.GONE else (now, 0)
            if (gone >= 2 and now - seen >= self._settings.settle / 1000) or now >= until:
                return sight, draft_state
            await asyncio.sleep(STEP)

    async def _give_up(
        self, step: EnterStep, objection: str | None, mark: str, state: PaneState
    ) -> NoReturn:
        """Raise the error of this step. Where the text is still in the input, record it first."""
        kind, text = _UNTAKEN[step]
        # Made before the record: that may find the pane lost, and then its label is lost, too.
        error = kind(text.format(pane=self._observer.label, objection=objection))
        if step is not EnterStep.UNCLEAR:
            await self._record(mark, state)
        raise error

    async def _record(self, mark: str, state: PaneState) -> None:
        """Record in the pane that its program has not taken the text."""
        ring = self._with_process(state, mark, state.process)
        if ring != state.sent:
            try:
                await self._observer.run(*self._observer.guard(state).note(ring))
            except (PaneLost, TmuxError):
                pass  # the next look finds out

    def _with_process(self, state: PaneState, mark: str, process: str) -> str:
        """The ring of marks, with the process that still has the text in its input."""
        sent = Sent.read(state.sent, mark)
        if sent is None or (sent.stands_in == process == ""):
            return state.sent
        since = now_ms() if process else 0
        return self._observer.mark(
            state.sent, mark, str(replace(sent, stands_in=process, seen_ms=since))
        )


def _unread(sight: Sight) -> str | None:
    # A busy program reads several Enters at once later, and some agents submit the same text with
    # each of them.
    return "the program has not read its Enter yet" if has_unread(sight.state.tty) else None


def now_ms() -> int:
    return int(time.time() * 1000)
