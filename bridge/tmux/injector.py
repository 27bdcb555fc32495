"""One ticket into one pane: typed once, whole, and only when the pane is ready.

    look ─► ready? ─► load ─► guarded paste ─► seen on the screen? ─► guarded Enter ─► taken?
              │no                │NO                │no                    │NO             │no
              ▼                  ▼                  ▼                      ▼               ▼
         PaneNotReady       PaneNotReady       PaneNotReady           PaneNotReady    Enter again

A shell or a REPL, whose line editor we know, gets text and Enter in one guarded step. What follows the paste is
submitter.py's. Whatever happens after it, the text is never typed a second time: the pane's marks say that it was
pasted, and a later call goes on from there (`_resume`). Only Enter is repeated.

`inject` tries once, now. It must not be cancelled half-way (the caller shields it); if it is all the same, or the
process dies, the marks make the next call right.
"""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Iterable, Optional

from bridge.errors import PaneNotReady, Uncertain
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux import forms
from bridge.tmux.activity import Activity, Armed
from bridge.tmux.buffers import is_argument, new_name
from bridge.tmux.command import Tmux
from bridge.tmux.draft import Draft
from bridge.tmux.evidence import Evidence
from bridge.tmux.identity import Pane
from bridge.tmux.lookout import Lister, Lookout
from bridge.tmux.marks import Sent, add_mark, mark_of, read_mark
from bridge.tmux.program import Sight
from bridge.tmux.prompt import Verdict
from bridge.tmux.state import PaneState
from bridge.tmux.submitter import Submitter, now_ms
from bridge.tmux.waiting import Waiting


class Injector:
    """Types tickets into the pane that `session` and `pane` name; finds it again by name when it was lost."""

    def __init__(self, tmux: Tmux, session: str, pane: str, settings: TmuxSettings = TmuxSettings(), form: str = "auto", activity: Optional[Activity] = None, census: Optional[Lister] = None) -> None:
        self._activity = activity  # None: no events, the pane is polled
        self._lookout = Lookout(tmux, session, pane, settings, form, census)
        self._submitter = Submitter(self._lookout, settings)
        self._settings = settings
        self._template = forms.check_command(settings.shell_command)
        self._buffer = new_name()
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

    async def wait_ready(self, held: Callable[[], Iterable[str]] = lambda: ()) -> None:
        """Return when the pane may be typed into, or when it has one of the tickets `held` half delivered. Raises PaneLost, TmuxError."""
        waiting = Waiting(self._settings, self._activity)
        while True:
            await asyncio.sleep(max(0.0, self._cooling()))
            armed = waiting.arm(self._lookout.pane)
            pane, state, verdict = await self.look()
            pasted, before = "" if verdict.ready else _last_pasted(state), self._owed
            self._owed = pasted if pasted in map(mark_of, held()) else ""
            if verdict.ready:
                return
            if self._owed and self._owed != before:  # the pane may not become ready before `inject` has resumed that ticket
                await asyncio.sleep(self._settings.poll_min / 1000)
                return
            await waiting.pause(pane, state, verdict, armed, self._lookout.rules.still - self._lookout.still)
            if self._owed:  # it could not be resumed yet: again after a pause
                return

    def owes(self, ticket_id: str) -> bool:
        """Did `wait_ready` return because this ticket was typed here, the last of all, and is not acknowledged? No other can go before it."""
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
            sent = Sent.read(state.sent, mark)
            if sent is not None and not sent.is_gone_with(state.pane_pid):  # Enter was pressed before a crash, or by another watcher, or was not taken at once
                return self._evidence(sent.form, sent.at_ms, await self._is_taken(ticket, state))
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
        pasted, buffer, guard = add_mark(state.pasted, mark, str(state.pane_pid)), self._buffer, self._lookout.guard(state)
        if sight.one_step and is_argument(text):
            load = ["set-buffer", "-b", buffer, "--", text, ";"]  # one process for all of it
        else:
            load = []
            await self._lookout.run("load-buffer", "-b", buffer, "-", stdin=text.encode("utf-8"))
        if sight.one_step:
            now = now_ms()
            sequence = [*load, *guard.paste_and_enter(buffer, pasted, add_mark(state.sent, mark, str(Sent(sight.form, now))))]
            return self._evidence(sight.form, now, await self._submitter.type_command(text, sequence))
        await self._lookout.guarded(guard.paste(buffer, pasted))
        return self._evidence(*await self._submitter.submit(Draft.of(text), mark))

    def _text(self, ticket: Ticket, sight: Sight) -> str:
        if sight.form == "agent" and sight.state.terminal.canonical:
            return forms.line_text(ticket, self._template)
        if sight.form == "agent":
            return forms.agent_text(ticket, self._settings.body_cap, self._template)
        if sight.form == "repl" and sight.repl:
            return forms.repl_command(ticket.ticket_id, self._template, sight.repl)
        return forms.shell_command(ticket.ticket_id, self._template)

    async def _resume(self, ticket: Ticket, state: PaneState) -> Evidence:
        """The text was pasted, and no Enter followed: by a crash, or because it did not show in time."""
        sight = self._lookout.sight(state)
        draft = Draft.of(self._text(ticket, sight))
        if draft.is_shown(sight):
            return self._evidence(*await self._submitter.submit(draft, mark_of(ticket.ticket_id), is_new=False))
        verdict = self._lookout.judge(state)
        is_free = verdict.ready or verdict.rule == "settling"  # else what looks like a transcript may be the draft itself, with a person's words behind it
        if is_free and draft.is_told(state):  # a person has pressed Enter
            return self._evidence(sight.form or "agent", now_ms(), False)
        if is_free:
            raise Uncertain(f"ticket {ticket.ticket_id} was pasted into {self._lookout.label} and is no longer in its input; it is not typed again")
        raise PaneNotReady(f"ticket {ticket.ticket_id} was pasted and waits for its Enter: {verdict.reason}")

    async def _is_taken(self, ticket: Ticket, state: PaneState) -> bool:
        sight = self._lookout.sight(state)
        if not sight.form or sight.one_step:
            return False  # a command that has run leaves nothing to see
        return await self._submitter.is_taken(Draft.of(self._text(ticket, sight)), mark_of(ticket.ticket_id), state)

    def _cooling(self) -> float:
        """Seconds until the next ticket may be typed."""
        return self._submitter.submitted + self._settings.cool_down / 1000 - time.monotonic()

    def _evidence(self, form: str, submitted_ms: int, verified: bool) -> Evidence:
        return Evidence(self._lookout.label, form, rfc3339(submitted_ms), verified)


def _last_pasted(state: PaneState) -> str:
    """The mark of what was pasted last into the program that runs here; "" when nothing was."""
    mark, _, process = (state.pasted.split()[-1:] or [""])[0].rpartition("=")
    return mark if process == str(state.pane_pid) else ""
