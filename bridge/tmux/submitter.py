"""From a text in the input to a ticket that is submitted: Enter, and what becomes of it.

    draft shown, whole and still ─► guarded Enter ─► gone from the input? ──yes──► taken
                                        ▲               │no            │no
                                        └───────────────┘              ▼
                                  nothing has changed: the      something has, or a person's words stand behind it:
                                  Enter was swallowed           it waits, and is asked after again (`is_taken`)

Enter is the only key that is ever pressed twice. A mark of the pane says that it was pressed, before it is known what
became of it: so whoever comes next, after a crash or a pause, asks what became of it, and never types the text again.
What still stands in the input is not called submitted. The mark says that, too: if the program ends now, the text has
ended with it, and the next program gets it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Awaitable, Callable, NoReturn

from bridge.errors import PaneError, PaneLost, PaneNotReady, TmuxError, Uncertain
from bridge.settings import TmuxSettings
from bridge.tmux.draft import Draft, squash
from bridge.tmux.lookout import Lookout
from bridge.tmux.marks import Sent, add_mark
from bridge.tmux.program import Sight
from bridge.tmux.prompt import person_objection
from bridge.tmux.state import PaneState

STEP = 0.02  # seconds between looks while a paste or an Enter takes effect: they take 20 to 300 ms
ENTER_DELAYS = (0.3, 0.6, 1.2)  # seconds given to each further Enter; the last one repeats


class Submitter:
    """For one pane."""

    def __init__(self, lookout: Lookout, settings: TmuxSettings) -> None:
        self._lookout = lookout
        self._settings = settings
        self._retries = 0  # Enters that were pressed again, so far
        self.submitted = -1e9  # monotonic seconds of the last submission

    async def type_command(self, text: str, sequence: list[str]) -> bool:
        """For a line editor that we know: text and Enter in one guarded sequence. Was it seen to be taken? Raises PaneNotReady,
        PaneLost, TmuxError."""
        looked = self._lookout.looked_at
        await self._lookout.guarded(sequence)
        self.submitted = time.monotonic()
        return await self._is_confirmed(looked, lambda state: self._is_echoed(text, state))

    async def submit(self, draft: Draft, mark: str, is_new: bool = True) -> tuple[str, int, bool]:
        """The draft is in the input, or on its way: see it there, press Enter, see it leave. One that `is_new` gets some time for
        what stands in its way; about an older one this is asked again and again. Returns (form, when in ms of the clock, was it
        seen to be taken?). Raises PaneNotReady, Uncertain, PaneLost, TmuxError."""
        state = await self._wait_draft(draft, is_new)
        looked, now = self._lookout.looked_at, now_ms()
        form = self._lookout.sight(state).form or "agent"
        await self._lookout.guarded(self._lookout.guard(state).enter(add_mark(state.sent, mark, str(Sent(form, now)))))
        self.submitted = time.monotonic()
        return form, now, await self._is_confirmed(looked, lambda _: self._wait_taken(draft, mark, state))

    async def is_taken(self, draft: Draft, mark: str, state: PaneState) -> bool:
        """Enter was pressed before: was it taken, or does the draft stand there still? Raises PaneNotReady, Uncertain, and PaneLost
        where it stood there to the last."""
        sight, sent, retries = self._lookout.sight(state), Sent.read(state.sent, mark), self._retries
        try:
            if draft.is_shown(sight):
                await self._is_opposed(draft, mark, state, sight)  # raises at once where it is certain: this may be asked again and again
                return await self._wait_taken(draft, mark, state)
            await self._check_untouched(draft, mark, state)
            return draft.is_told(state)
        except PaneLost:
            if sent is not None and sent.stands_in and self._retries == retries:
                raise
            return False

    async def _is_confirmed(self, looked: float, taken: Callable[[PaneState], Awaitable[bool]]) -> bool:
        """Was the text taken, and it alone? A key that a person pressed after our last look may stand unseen behind it,
        and went with it. After Enter the ticket IS submitted: a pane that is lost now only leaves it unconfirmed."""
        try:
            state = await self._lookout.observe()
            alone = state.human_idle is None or state.human_idle >= self._lookout.looked_at - looked
            return await taken(state) and alone
        except PaneLost:
            return False

    async def _wait_draft(self, draft: Draft, is_new: bool) -> PaneState:
        """Wait until the pasted text stands in the input, whole and still. Raises PaneNotReady: a later call resumes."""
        deadline = time.monotonic() + self._settings.verify_timeout / 1000
        reason = "it did not appear in the input"
        while time.monotonic() < deadline:
            state = await self._lookout.observe()
            sight = self._lookout.sight(state)
            # tmux hears of a person's key at once; the program may show it only after our Enter.
            blocked = draft.objection(sight) or person_objection(sight)
            if blocked:
                reason = blocked
                if not is_new:
                    break
            elif draft.is_shown(sight) and self._lookout.still >= self._settings.settle / 1000:
                return state
            await asyncio.sleep(STEP)
        raise PaneNotReady(f"the text was pasted into {self._lookout.label} and waits for its Enter: {reason}")

    async def _wait_taken(self, draft: Draft, mark: str, before: PaneState) -> bool:
        """Did the Enter take? Press it again, and only it, while the very same draft stands in the very same place."""
        wait = self._settings.enter_wait / 1000
        for attempt in range(self._settings.enter_retries + 1):
            sight = await self._wait_gone(draft, wait)
            if not draft.is_shown(sight):
                await self._check_untouched(draft, mark, sight.state)
                return True
            if await self._is_opposed(draft, mark, before, sight):
                return False
            if attempt < self._settings.enter_retries:
                self._retries += 1  # before it is pressed: the pane may be lost in that moment
                outcome = await self._lookout.run(*self._lookout.guard(sight.state).enter(_with_process(sight.state, mark, "")))
                self._retries -= "OK" not in outcome.split()
                wait = ENTER_DELAYS[min(attempt, len(ENTER_DELAYS) - 1)]
        if not draft.stands(before, sight):
            return False
        await self._refuse(mark, sight.state, Uncertain(f"the text stands in the input of {self._lookout.label}, which does not take the Enter: press it there, or clear the input"))

    async def _wait_gone(self, draft: Draft, wait: float) -> Sight:
        """Look until the draft has been gone for as long as a paste must stand: a shorter absence may be a redraw, of a program that
        swallowed the Enter, on a busy machine."""
        seen, gone, deadline = time.monotonic(), 0, time.monotonic() + wait
        while True:
            sight = self._lookout.sight(await self._lookout.observe())
            now = time.monotonic()
            seen, gone = (now, 0) if draft.is_shown(sight) else (seen, gone + 1)
            if (gone >= 2 and now - seen >= self._settings.settle / 1000) or now >= deadline:
                return sight
            await asyncio.sleep(STEP)

    async def _is_opposed(self, draft: Draft, mark: str, before: PaneState, sight: Sight) -> bool:
        """Must Enter not be pressed again? A dialog has opened, perhaps, or a person's key is on its way to the screen. Raises
        PaneNotReady when the draft stands there for certain."""
        objection = draft.objection(sight) or person_objection(sight) or ("" if draft.is_unchanged(before, sight.state) else "it has moved since its Enter")
        if objection and draft.stands(before, sight):
            await self._refuse(mark, sight.state, PaneNotReady(f"the text still stands in the input of {self._lookout.label}: {objection}"))
        return bool(objection)

    async def _check_untouched(self, draft: Draft, mark: str, state: PaneState) -> None:
        """Raises PaneNotReady when the draft still stands there, changed by a person."""
        if draft.is_touched(self._lookout.sight(state)):
            reason = f"the program in {self._lookout.label} did not take the Enter, and a person has changed the text, or typed behind it"
            await self._refuse(mark, state, PaneNotReady(reason))

    async def _refuse(self, mark: str, state: PaneState, error: PaneError) -> NoReturn:
        """Raise `error`, once the pane knows that its program has not taken the text."""
        ring = _with_process(state, mark, str(state.pane_pid))
        if ring != state.sent:
            try:
                await self._lookout.run(*self._lookout.guard(state).note(ring))
            except (PaneLost, TmuxError):
                pass  # the next look tells
        raise error

    async def _is_echoed(self, text: str, state: PaneState) -> bool:
        """Does the screen show the command that a line editor was given? It was sent whatever the answer."""
        deadline = time.monotonic() + self._settings.settle / 1000
        while squash(text) not in squash("".join(state.rows)):  # a long line wraps
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(STEP)
            state = await self._lookout.observe()
        return True


def _with_process(state: PaneState, mark: str, process: str) -> str:
    """The ring, with the process in whose input that text stands."""
    sent = Sent.read(state.sent, mark)
    return state.sent if sent is None or sent.stands_in == process else add_mark(state.sent, mark, str(replace(sent, stands_in=process)))


def now_ms() -> int:
    return int(time.time() * 1000)
