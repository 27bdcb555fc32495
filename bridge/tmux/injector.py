"""One ticket into one pane: typed once, whole, and only when the pane is ready.

    look ─► ready? ─► load ─► guarded paste ─► seen on the screen? ─► guarded Enter ─► taken?
              │no                │NO                │no                    │NO             │no
              ▼                  ▼                  ▼                      ▼               ▼
         PaneNotReady       PaneNotReady       PaneNotReady           PaneNotReady    Enter again

A shell or a REPL, whose line editor we know, gets text and Enter in one guarded step. Whatever happens after the
paste, the text is never typed a second time: the pane's marks say that it was pasted, and a later call goes on
from there (`_resume`). Only Enter is repeated.

`inject` tries once, now. It must not be cancelled half-way (the caller shields it); if it is all the same, or the
process dies, the marks make the next call right.
"""

from __future__ import annotations

import asyncio
import time
from typing import Awaitable, Callable, Optional

from bridge.errors import PaneError, PaneNotReady, Uncertain
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux import forms
from bridge.tmux.activity import Activity, Armed
from bridge.tmux.buffers import is_argument, new_name
from bridge.tmux.census import Census
from bridge.tmux.command import Tmux
from bridge.tmux.draft import Draft, squash
from bridge.tmux.evidence import Evidence
from bridge.tmux.lookout import Lookout
from bridge.tmux.marks import add_mark, mark_of, read_mark
from bridge.tmux.pane import Pane
from bridge.tmux.program import Sight
from bridge.tmux.prompt import Verdict, person_objection
from bridge.tmux.state import PaneState
from bridge.tmux.waiting import Waiting

_STEP = 0.02  # seconds between looks while a paste or an Enter takes effect: they take 20 to 300 ms
_ENTER_DELAYS = (0.3, 0.6, 1.2)  # seconds given to each further Enter; the last one repeats


class Injector:
    """Types tickets into the pane that `session` and `pane` name; finds it again by name when it was lost."""

    def __init__(self, tmux: Tmux, session: str, pane: str, settings: TmuxSettings = TmuxSettings(), form: str = "auto", activity: Optional[Activity] = None, census: Optional[Census] = None) -> None:
        self._activity = activity  # None: no events, the pane is polled
        self._lookout = Lookout(tmux, session, pane, settings, form, census)
        self._settings = settings
        self._template = forms.check_command(settings.shell_command)
        self._buffer = new_name()
        self._submitted = -1e9  # monotonic seconds of the last submission
        self._looked: Armed = None  # done when something was written since the last idle look
        self._owed = ""  # mark of the ticket whose text keeps the pane from being ready
        self._turn: Optional[asyncio.Lock] = None  # made inside the loop: Python 3.9 binds it to the loop that it finds

    @property
    def pane(self) -> Optional[Pane]:
        """The pane as it was found; None before the first look and after a loss."""
        return self._lookout.pane

    async def look(self) -> tuple[Pane, PaneState, Verdict]:
        """Find the pane if need be, look at it, judge it. Raises PaneLost, TmuxError."""
        state = await self._lookout.observe()
        assert self._lookout.pane is not None
        return self._lookout.pane, state, self._lookout.judge(state)

    async def explain(self) -> Verdict:
        """May the pane be typed into now, and why or why not?"""
        return (await self.look())[2]

    async def check(self) -> None:
        """An idle look: is the pane there? Raises PaneLost, TmuxError.

        Only when its program has written something since the last one, the screen is looked at, too: a screen that is
        known to stand still need not be watched for that when a ticket comes.
        """
        pane = self._lookout.pane
        await self._lookout.confirm()
        if self._looked is None or self._looked.done() or pane is not self._lookout.pane:
            self._looked = self._activity.arm(self._lookout.pane.tty) if self._activity and self._lookout.pane else None
            await self.look()

    def preview(self, ticket: Ticket, state: PaneState) -> tuple[Sight, str]:
        """What the program was taken for, and the very text that `inject` would type; "" where nothing may be."""
        sight = self._lookout.sight(state)
        return sight, self._text(ticket, sight) if sight.form else ""

    async def wait_ready(self) -> None:
        """Return when the pane may be typed into. Raises PaneLost, TmuxError."""
        waiting = Waiting(self._settings, self._activity)
        while True:
            await asyncio.sleep(max(0.0, self._cooling()))
            armed = waiting.arm(self._lookout.pane)
            pane, state, verdict = await self.look()
            self._owed = "" if verdict.ready else _mark_without_enter(state)
            if verdict.ready:
                return
            if self._owed:  # the pane cannot become ready before `inject` has resumed that ticket
                await asyncio.sleep(self._settings.poll_min / 1000)
                return
            await waiting.pause(pane, state, verdict, armed, self._lookout.rules.still - self._lookout.still)

    def owes(self, ticket_id: str) -> bool:
        """Did `wait_ready` return because this ticket's text stands there without its Enter? No other can go before it."""
        return self._owed == mark_of(ticket_id)

    async def inject(self, ticket: Ticket, is_ours: Callable[[], bool] = lambda: True) -> Evidence:
        """Type `ticket`, once, now. Raises PaneNotReady, PaneLost, Uncertain, TmuxError.

        `is_ours` says whether the claim still holds. It is asked after the last look and before the guarded paste: if
        it held then, nobody else had typed the ticket before the look, and what came after the look fails the guard.
        """
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            state = await self._lookout.observe()
            mark = mark_of(ticket.ticket_id)
            sent = read_mark(state.sent, mark)
            if sent is not None:  # submitted before a crash, or by another watcher: only the ack is owed
                form, _, moment = sent.partition("-")
                return self._evidence(form, int(moment), await _or_false(self._is_taken(ticket, state)))
            if read_mark(state.pasted, mark) == str(state.pane_pid):
                return await self._resume(ticket, state)
            state = await self._ready_state(state)
            if not is_ours():  # and the marks may have forgotten it by now
                raise PaneNotReady("the claim ran out before anything was typed; another watcher may have the ticket")
            return await self._type(ticket, state)

    async def _ready_state(self, state: PaneState) -> PaneState:
        """The state, or a later one, in which the pane is ready; waits only for the screen to have stood still."""
        if self._cooling() > 0:
            raise PaneNotReady(f"cooling down: the last ticket was typed less than {self._settings.cool_down} ms ago")
        verdict = self._lookout.judge(state)
        if verdict.rule == "settling":
            await asyncio.sleep(max(0.0, self._lookout.rules.still - self._lookout.still) + 0.01)
            state = await self._lookout.observe()
            verdict = self._lookout.judge(state)
        if not verdict.ready:
            raise PaneNotReady(verdict.reason)
        return state

    async def _type(self, ticket: Ticket, state: PaneState) -> Evidence:
        sight = self._lookout.sight(state)
        text = self._text(ticket, sight)
        mark = mark_of(ticket.ticket_id)
        pasted, buffer = add_mark(state.pasted, mark, str(state.pane_pid)), self._buffer
        looked = self._lookout.looked_at
        if sight.one_step and is_argument(text):
            load = ["set-buffer", "-b", buffer, "--", text, ";"]  # one process for all of it
        else:
            load = []
            await self._lookout.run("load-buffer", "-b", buffer, "-", stdin=text.encode("utf-8"))
        if sight.one_step:
            now = _now_ms()
            await self._lookout.guarded([*load, *self._lookout.guard(state).paste_and_enter(buffer, pasted, add_mark(state.sent, mark, f"{sight.form}-{now}"))])
            self._submitted = time.monotonic()
            return self._evidence(sight.form, now, await self._is_confirmed(looked, lambda state: self._is_echoed(text, state)))
        await self._lookout.guarded(self._lookout.guard(state).paste(buffer, pasted))
        return await self._submit(ticket, Draft.of(text))

    def _text(self, ticket: Ticket, sight: Sight) -> str:
        if sight.form == "agent" and sight.state.terminal.canonical:
            return forms.line_text(ticket)
        if sight.form == "agent":
            return forms.agent_text(ticket, self._settings.body_cap)
        if sight.form == "repl" and sight.repl:
            return forms.repl_command(ticket.ticket_id, self._template, sight.repl)
        return forms.shell_command(ticket.ticket_id, self._template)

    async def _resume(self, ticket: Ticket, state: PaneState) -> Evidence:
        """The text was pasted, and no Enter followed: by a crash, or because it did not show in time."""
        sight = self._lookout.sight(state)
        draft = Draft.of(self._text(ticket, sight))
        if draft.is_shown(sight):
            return await self._submit(ticket, draft)
        verdict = self._lookout.judge(state)
        is_free = verdict.ready or verdict.rule == "settling"  # else what looks like a transcript may be the draft itself, with a person's words behind it
        if is_free and draft.is_told(state):  # a person has pressed Enter
            return self._evidence(sight.form or "agent", _now_ms(), False)
        if is_free:
            raise Uncertain(f"ticket {ticket.ticket_id} was pasted into {self._lookout.label} and is no longer in its input; it is not typed again")
        raise PaneNotReady(f"ticket {ticket.ticket_id} was pasted and waits for its Enter: {verdict.reason}")

    async def _submit(self, ticket: Ticket, draft: Draft) -> Evidence:
        """The text is in the input, or on its way: see it there, press Enter, see it leave."""
        state = await self._wait_draft(draft)
        looked, now = self._lookout.looked_at, _now_ms()
        form = self._lookout.sight(state).form or "agent"
        await self._lookout.guarded(self._lookout.guard(state).enter(add_mark(state.sent, mark_of(ticket.ticket_id), f"{form}-{now}")))
        self._submitted = time.monotonic()
        return self._evidence(form, now, await self._is_confirmed(looked, lambda _: self._wait_taken(draft, state)))

    async def _is_confirmed(self, looked: float, taken: Callable[[PaneState], Awaitable[bool]]) -> bool:
        """Was the text taken, and it alone? A key that a person pressed after our last look may stand unseen behind it,
        and went with it. After Enter the ticket IS submitted: a pane that is lost now only leaves it unconfirmed."""
        try:
            state = await self._lookout.observe()
            alone = state.human_idle is None or state.human_idle >= self._lookout.looked_at - looked
            return await taken(state) and alone
        except PaneError:
            return False

    async def _wait_draft(self, draft: Draft) -> PaneState:
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
            elif draft.is_shown(sight) and self._lookout.still >= self._settings.settle / 1000:
                return state
            await asyncio.sleep(_STEP)
        raise PaneNotReady(f"the text was pasted into {self._lookout.label} and waits for its Enter: {reason}")

    async def _wait_taken(self, draft: Draft, before: PaneState) -> bool:
        """Did the Enter take? Press it again, and only it, while the very same draft stands in the very same place."""
        wait = self._settings.enter_wait / 1000
        for attempt in range(self._settings.enter_retries + 1):
            sight = await self._wait_gone(draft, wait)
            if not draft.is_shown(sight):
                return True
            if draft.objection(sight) or not draft.is_unchanged(before, sight.state):
                return False  # a dialog has opened, perhaps: an Enter would answer it
            if attempt < self._settings.enter_retries:
                await self._lookout.run(*self._lookout.guard(sight.state).enter(sight.state.sent))
                wait = _ENTER_DELAYS[min(attempt, len(_ENTER_DELAYS) - 1)]
        return False

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
            await asyncio.sleep(_STEP)

    async def _is_taken(self, ticket: Ticket, state: PaneState) -> bool:
        """After a crash: was the Enter that we pressed taken, or does the draft stand there still?"""
        sight = self._lookout.sight(state)
        if not sight.form or sight.one_step:
            return False  # a command that has run leaves nothing to see
        draft = Draft.of(self._text(ticket, sight))
        return await self._wait_taken(draft, state) if draft.is_shown(sight) else draft.is_told(state)

    async def _is_echoed(self, text: str, state: PaneState) -> bool:
        """Does the screen show the command that a line editor was given? It was sent whatever the answer."""
        deadline = time.monotonic() + self._settings.settle / 1000
        while squash(text) not in squash("".join(state.rows)):  # a long line wraps
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_STEP)
            state = await self._lookout.observe()
        return True

    def _cooling(self) -> float:
        """Seconds until the next ticket may be typed."""
        return self._submitted + self._settings.cool_down / 1000 - time.monotonic()

    def _evidence(self, form: str, submitted_ms: int, verified: bool) -> Evidence:
        return Evidence(self._lookout.label, form, rfc3339(submitted_ms), verified)


def _mark_without_enter(state: PaneState) -> str:
    """The mark of the last thing pasted here, if its Enter never followed; else ""."""
    last = state.pasted.split()[-1:]
    mark, _, process = last[0].rpartition("=") if last else ("", "", "")
    return mark if process == str(state.pane_pid) and read_mark(state.sent, mark) is None else ""


async def _or_false(confirmation: Awaitable[bool]) -> bool:
    """After Enter the ticket IS submitted; a pane that is lost now, or a tmux that fails, only leaves it unconfirmed."""
    try:
        return await confirmation
    except PaneError:
        return False


def _now_ms() -> int:
    return int(time.time() * 1000)
