"""From a text in the input to a submitted ticket: press Enter, and find out what became of it.

    pasted ─► seen, complete and still ─► guarded Enter ─► taken?
                                            ▲                │
                                            └── still WHOLE ─┘

After Enter the composer shows what became of the text (pasted_text.py):

    EMPTY             taken
    UNSEEN, FOREIGN   taken, if the transcript shows the text or the agent works; else a later
                        call looks again
    WHOLE             the Enter was swallowed: press it again, unless there is an objection
    TOUCHED           a person has changed the text: wait

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
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from bridge.errors import HalfDelivered, PaneError, PaneLost, TmuxError, Uncertain
from bridge.settings import TmuxSettings
from bridge.tmux.injection.pane_marks import Sent
from bridge.tmux.injection.pasted_text import DraftState, PastedText
from bridge.tmux.injection.typed_line import holds_command
from bridge.tmux.readiness.objections import is_working, person_objection, tmux_objection
from bridge.tmux.readiness.observer import PaneObserver
from bridge.tmux.readiness.program import Sight
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import has_unread

STEP = 0.02  # seconds between looks while a paste or an Enter takes effect: they take 20 to 300 ms
SHELL_STEP = 0.002  # seconds: a line editor shows a paste within a few ms
ENTER_DELAYS = (0.3, 0.6, 2.0)  # seconds to wait after each further Enter; the last one repeats

TimeLeft = Callable[[], float]  # seconds for which the claim is certainly valid


class Submitter:
    """For one pane."""

    def __init__(self, lookout: PaneObserver, settings: TmuxSettings) -> None:
        self._lookout = lookout
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
            sight = self._lookout.sight(state)
            objection = tmux_objection(sight) or person_objection(sight)
            if objection is None and holds_command(state, command, is_prompt):
                break
            if objection or time.monotonic() >= until:
                reason = objection or "it does not stand behind the prompt as it was typed"
                raise HalfDelivered(
                    f"the command was pasted into {self._lookout.label}, "
                    f"and Enter was not pressed: {reason}"
                )
            await asyncio.sleep(SHELL_STEP)
            state = await self._lookout.observe()
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
        looked, now = self._lookout.looked_at, now_ms()
        form = await self._press(state, mark, self._lookout.sight(state).form or "agent", time_left)
        try:
            after = await self._lookout.observe()
            # A key that a person pressed after our last look may be behind the text, unseen.
            # Enter has then submitted it with the text.
            is_alone = (
                after.human_idle is None or after.human_idle >= self._lookout.looked_at - looked
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
        guard = await self._lookout.guard_within(state, left)
        await self._lookout.guarded(
            guard.enter(self._lookout.mark(state.sent, mark, str(Sent(form, now_ms()))))
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
            state = await self._lookout.observe()
            sight = self._lookout.sight(state)
            # tmux reports a person's key at once; the program may show it only after our Enter.
            blocked = draft.objection(sight) or person_objection(sight)
            is_whole = draft.standing(sight) is DraftState.WHOLE
            if blocked:
                reason = blocked
                if not is_new:
                    break
            elif is_whole and self._lookout.still >= self._settings.settle / 1000:
                return state
            elif not is_whole and not is_new:
                break
            await asyncio.sleep(STEP)
        raise HalfDelivered(
            f"the text was pasted into {self._lookout.label} and waits for its Enter: {reason}"
        )

    async def _wait_taken(self, draft: PastedText, mark: str) -> None:
        """Return when the Enter was taken.

        While exactly the same text is in the input, press Enter again, and no other key.
        """
        wait = self._settings.enter_wait / 1000
        for attempt in range(self._settings.enter_retries + 1):
            sight, standing = await self._wait_gone(draft, wait)
            if self._is_taken(draft, sight, standing):
                return
            if standing is DraftState.TOUCHED:
                reason = (
                    f"the program in {self._lookout.label} did not take the Enter, "
                    "and a person has changed the text, or typed behind it"
                )
                await self._refuse(mark, sight.state, HalfDelivered(reason))
            if standing is not DraftState.WHOLE:
                raise HalfDelivered(
                    f"Enter was pressed in {self._lookout.label}, "
                    "and it cannot be seen yet what became of the text"
                )
            # A busy program reads several Enters at once later, and some agents submit the same
            # text with each of them.
            busy = "the program has not read its Enter yet" if has_unread(sight.state.tty) else None
            objection = draft.objection(sight) or person_objection(sight) or busy
            if objection:
                await self._refuse(
                    mark,
                    sight.state,
                    HalfDelivered(
                        f"the text still stands in the input of {self._lookout.label}: {objection}"
                    ),
                )
            if attempt < self._settings.enter_retries:
                # Counted before Enter is pressed: the pane may be lost in that moment.
                self._retries += 1
                outcome = await self._lookout.run(
                    *self._lookout.guard(sight.state).enter(
                        self._with_process(sight.state, mark, "")
                    )
                )
                self._retries -= "OK" not in outcome.split()
                wait = ENTER_DELAYS[min(attempt, len(ENTER_DELAYS) - 1)]
        reason = (
            f"the text stands in the input of {self._lookout.label}, "
            "which does not take the Enter: press it there, or clear the input"
        )
        await self._refuse(mark, sight.state, Uncertain(reason))

    @staticmethod
    def _is_taken(draft: PastedText, sight: Sight, standing: DraftState) -> bool:
        if standing is DraftState.EMPTY:
            return True
        return standing in (DraftState.UNSEEN, DraftState.FOREIGN) and (
            is_working(sight) or draft.is_told(sight.state)
        )

    async def _wait_gone(self, draft: PastedText, wait: float) -> tuple[Sight, DraftState]:
        """Look until the text has been gone for as long as a paste must be still (`settle`).

        On a busy machine a shorter absence may be a redraw, by a program that swallowed the Enter.
        """
        seen, gone, until = time.monotonic(), 0, time.monotonic() + wait
        while True:
            sight = self._lookout.sight(await self._lookout.observe())
            standing, now = draft.standing(sight), time.monotonic()
            is_taken = self._is_taken(draft, sight, standing)
            seen, gone = (seen, gone + 1) if is_taken else (now, 0)
            if (gone >= 2 and now - seen >= self._settings.settle / 1000) or now >= until:
                return sight, standing
            await asyncio.sleep(STEP)

    async def _refuse(self, mark: str, state: PaneState, error: PaneError) -> NoReturn:
        """Record in the pane that its program has not taken the text, then raise `error`."""
        ring = self._with_process(state, mark, state.process)
        if ring != state.sent:
            try:
                await self._lookout.run(*self._lookout.guard(state).note(ring))
            except (PaneLost, TmuxError):
                pass  # the next look finds out
        raise error

    def _with_process(self, state: PaneState, mark: str, process: str) -> str:
        """The ring of marks, with the process that still has the text in its input."""
        sent = Sent.read(state.sent, mark)
        if sent is None or (sent.stands_in == process == ""):
            return state.sent
        since = now_ms() if process else 0
        return self._lookout.mark(
            state.sent, mark, str(replace(sent, stands_in=process, seen_ms=since))
        )


def now_ms() -> int:
    return int(time.time() * 1000)
