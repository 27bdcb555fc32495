"""From a text in the input to a ticket that is submitted: Enter, and what becomes of it.

    pasted ─► seen, whole and still ─► guarded Enter ─► taken?
                                          ▲               │
                                          └── still WHOLE ┘

After Enter the composer tells what became of it (draft.py):

    EMPTY                         taken
    UNSEEN, FOREIGN               taken, if the transcript shows the text or the agent works; else it is asked after again
    WHOLE                         the Enter was swallowed: it is pressed again, unless something stands against it
    TOUCHED                       a person has changed the text: it waits

Enter is the only key that is ever pressed twice. A mark of the pane says that it was pressed, before it is known what
became of it: so after a crash or a pause the question is what became of it, and the text is never typed again.
What still stands in the input is not called submitted. The mark says that, too, and when it was seen: if the program
ends soon after, the text has ended with it, and the next program gets it.

A shell's command goes the same way: it must stand behind the prompt, exactly, before Enter is pressed. A shell in vi
mode takes a paste as commands, and a widget may swallow it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from bridge.errors import HalfDelivered, PaneError, PaneLost, TmuxError, Uncertain
from bridge.settings import TmuxSettings
from bridge.tmux.draft import Draft, Standing
from bridge.tmux.lookout import Lookout
from bridge.tmux.marks import Sent
from bridge.tmux.program import Sight
from bridge.tmux.prompt import is_working, person_objection, tmux_objection
from bridge.tmux.state import PaneState
from bridge.tmux.terminal import has_unread
from bridge.tmux.typed_line import holds_command

STEP = 0.02  # seconds between looks while a paste or an Enter takes effect: they take 20 to 300 ms
SHELL_STEP = 0.002  # seconds: a line editor shows a paste within a few ms
ENTER_DELAYS = (0.3, 0.6, 2.0)  # seconds given to each further Enter; the last one repeats

TimeLeft = Callable[[], float]  # seconds for which the claim surely holds


class Submitter:
    """For one pane."""

    def __init__(self, lookout: Lookout, settings: TmuxSettings) -> None:
        self._lookout = lookout
        self._settings = settings
        self._retries = 0  # Enters that were pressed again, so far
        self.submitted = -1e9  # monotonic seconds of the last submission

    async def submit_command(
        self,
        state: PaneState,
        command: str,
        is_prompt: Callable[[str], bool],
        mark: str,
        time_left: TimeLeft,
    ) -> tuple[str, int, bool]:
        """A shell's or a REPL's command was pasted behind a prompt: see it there, in `state` or later, press Enter. Returns
        (form, when in ms of the clock, was it seen there?). Raises PaneNotReady, PaneLost, TmuxError."""
        until = time.monotonic() + self._settings.verify_timeout / 1000
        while True:
            sight = self._lookout.sight(state)
            objection = tmux_objection(sight) or person_objection(sight)
            if objection is None and holds_command(state, command, is_prompt):
                break
            if objection or time.monotonic() >= until:
                reason = objection or "it does not stand behind the prompt as it was typed"
                raise HalfDelivered(
                    f"the command was pasted into {self._lookout.label}, and Enter was not pressed: {reason}"
                )
            await asyncio.sleep(SHELL_STEP)
            state = await self._lookout.observe()
        return await self._press(state, mark, sight.form or "shell", time_left), now_ms(), True

    async def submit(
        self, draft: Draft, mark: str, time_left: TimeLeft, is_new: bool = True
    ) -> tuple[str, int, bool]:
        """The draft is in the composer, or on its way: see it there, press Enter, see it leave. One that `is_new` gets some time
        for what stands in its way; about an older one this is asked again and again. Returns (form, when in ms of the clock, was
        it seen to be taken, and it alone?). Raises PaneNotReady, Uncertain, PaneLost, TmuxError."""
        state = await self._wait_draft(draft, is_new)
        looked, now = self._lookout.looked_at, now_ms()
        form = await self._press(state, mark, self._lookout.sight(state).form or "agent", time_left)
        try:
            after = await self._lookout.observe()
            # A key that a person pressed after our last look may stand unseen behind the text, and went with it.
            is_alone = (
                after.human_idle is None or after.human_idle >= self._lookout.looked_at - looked
            )
            await self._wait_taken(draft, mark)
        except PaneLost:
            return (
                form,
                now,
                False,
            )  # after Enter the ticket IS submitted: a pane that is lost now leaves it unconfirmed
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

    async def wait_taken(self, draft: Draft, mark: str, state: PaneState) -> bool:
        """Enter was pressed before: was it taken? False where the pane was lost meanwhile. Raises PaneNotReady, Uncertain, and
        PaneLost where the text stood there to the last."""
        sent, retries = Sent.read(state.sent, mark), self._retries
        try:
            await self._wait_taken(draft, mark)
            return True
        except PaneLost:
            if sent is not None and sent.stands_in and self._retries == retries:
                raise
            return False

    async def _wait_draft(self, draft: Draft, is_new: bool) -> PaneState:
        """Wait until the pasted text stands in the composer, whole and still. Raises PaneNotReady: a later call resumes."""
        until = time.monotonic() + self._settings.verify_timeout / 1000
        reason = "it did not appear in the input"
        while time.monotonic() < until:
            state = await self._lookout.observe()
            sight = self._lookout.sight(state)
            # tmux hears of a person's key at once; the program may show it only after our Enter.
            blocked = draft.objection(sight) or person_objection(sight)
            is_whole = draft.standing(sight) is Standing.WHOLE
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

    async def _wait_taken(self, draft: Draft, mark: str) -> None:
        """Return when the Enter was taken. Press it again, and only it, while the very same text stands there."""
        wait = self._settings.enter_wait / 1000
        for attempt in range(self._settings.enter_retries + 1):
            sight, standing = await self._wait_gone(draft, wait)
            if self._is_taken(draft, sight, standing):
                return
            if standing is Standing.TOUCHED:
                reason = f"the program in {self._lookout.label} did not take the Enter, and a person has changed the text, or typed behind it"
                await self._refuse(mark, sight.state, HalfDelivered(reason))
            if standing is not Standing.WHOLE:
                raise HalfDelivered(
                    f"Enter was pressed in {self._lookout.label}, and it cannot be seen yet what became of the text"
                )
            # What is busy takes several Enters at once later, and some agents submit the same text with each.
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
                self._retries += 1  # before it is pressed: the pane may be lost in that moment
                outcome = await self._lookout.run(
                    *self._lookout.guard(sight.state).enter(
                        self._with_process(sight.state, mark, "")
                    )
                )
                self._retries -= "OK" not in outcome.split()
                wait = ENTER_DELAYS[min(attempt, len(ENTER_DELAYS) - 1)]
        reason = f"the text stands in the input of {self._lookout.label}, which does not take the Enter: press it there, or clear the input"
        await self._refuse(mark, sight.state, Uncertain(reason))

    @staticmethod
    def _is_taken(draft: Draft, sight: Sight, standing: Standing) -> bool:
        if standing is Standing.EMPTY:
            return True
        return standing in (Standing.UNSEEN, Standing.FOREIGN) and (
            is_working(sight) or draft.is_told(sight.state)
        )

    async def _wait_gone(self, draft: Draft, wait: float) -> tuple[Sight, Standing]:
        """Look until the text has been taken for as long as a paste must stand: a shorter absence may be a redraw, of a program
        that swallowed the Enter, on a busy machine."""
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
        """Raise `error`, once the pane knows that its program has not taken the text."""
        ring = self._with_process(state, mark, state.process)
        if ring != state.sent:
            try:
                await self._lookout.run(*self._lookout.guard(state).note(ring))
            except (PaneLost, TmuxError):
                pass  # the next look tells
        raise error

    def _with_process(self, state: PaneState, mark: str, process: str) -> str:
        """The ring, with the process in whose input that text stands."""
        sent = Sent.read(state.sent, mark)
        if sent is None or (sent.stands_in == process == ""):
            return state.sent
        since = now_ms() if process else 0
        return self._lookout.mark(
            state.sent, mark, str(replace(sent, stands_in=process, seen_ms=since))
        )


def now_ms() -> int:
    return int(time.time() * 1000)
