"""One ticket into one pane: typed once, whole, and only when the pane is ready.

    look ─► ready? ─► load ─► claim holds? ─► guarded paste ─► seen on the screen? ─► guarded Enter ─► taken?
              │no                 │no              │NO                │no                    │NO             │no
              ▼                   ▼                ▼                  ▼                      ▼               ▼
         PaneNotReady        PaneNotReady     PaneNotReady       PaneNotReady           PaneNotReady    Enter again

What follows the paste is submitter.py's. Whatever happens after it, an agent's text is never typed a second time: the
pane's marks say that it was pasted, and a later call goes on from there (`_resume`). Only Enter is repeated.
The command that a shell or a REPL gets is typed again where no Enter followed the first one, and where the caller says
so, because `show` never said that it ran: to run it twice shows a ticket twice, and no more.

`inject` tries once, now. It must not be cancelled half-way (the caller shields it); if it is all the same, or the
process dies, the marks make the next call right.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterable
from typing import Callable

from bridge.errors import HalfDelivered, PaneNotReady, Uncertain
from bridge.self_command import show_template
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux import forms
from bridge.tmux.activity import Activity
from bridge.tmux.buffers import is_argument, new_name
from bridge.tmux.command import Tmux
from bridge.tmux.draft import Draft, Standing
from bridge.tmux.evidence import Evidence
from bridge.tmux.identity import Pane
from bridge.tmux.lookout import Lister, Lookout
from bridge.tmux.marks import Pasted, Sent, last_unsent, mark_of
from bridge.tmux.program import Kind, Sight
from bridge.tmux.prompt import Verdict
from bridge.tmux.prompts import is_alike, looks_like_prompt
from bridge.tmux.state import PaneState
from bridge.tmux.submitter import SHELL_STEP, Submitter, now_ms
from bridge.tmux.terminal import is_alive
from bridge.tmux.typed_ahead import reprint
from bridge.tmux.typed_line import holds_command
from bridge.tmux.waiting import Waiting

_SEEN_MS = 5000  # beyond enter_wait: a watcher that goes on looking sees a text that stands there more often
_LATE_MS = 2000  # beyond verify_timeout, in which a pasted text may still come to the screen


class Injector:
    """Types tickets into the pane that `session` and `pane` name; finds it again by name when it was lost."""

    def __init__(
        self,
        tmux: Tmux,
        session: str,
        pane: str,
        settings: TmuxSettings = TmuxSettings(),
        form: str = "auto",
        activity: Activity | None = None,
        census: Lister | None = None,
    ) -> None:
        self._activity = activity  # None: no events, the pane is polled
        self._lookout = Lookout(tmux, session, pane, settings, form, census, activity)
        self._submitter = Submitter(self._lookout, settings)
        self._settings = settings
        self._template = forms.check_command(show_template(settings.shell_command))
        self._buffer = new_name()
        self._owed = ""  # mark of the ticket whose text keeps the pane from being ready
        self._turn: asyncio.Lock | None = (
            None  # made inside the loop: Python 3.9 binds it to the loop that it finds
        )

    @property
    def template(self) -> str:
        """The command that a shell gets, with {id} where the ticket's id goes."""
        return self._template

    def command(self, ticket: Ticket) -> str:
        """The very command that a shell gets for it."""
        return forms.shell_command(ticket.ticket_id, self._template)

    @property
    def pane(self) -> Pane | None:
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
        await self._lookout.confirm()
        if not self._lookout.is_still:
            await self.look()

    def preview(self, ticket: Ticket, state: PaneState) -> tuple[Sight, str]:
        """What the program was taken for, and the very text that `inject` would type; "" where nothing may be."""
        sight = self._lookout.sight(state)
        return sight, self._text(ticket, sight) if sight.form else ""

    async def wait_ready(self, held: Callable[[], Iterable[str]] = lambda: ()) -> None:
        """Return when the pane may be typed into, or when it has one of the tickets `held` half delivered. Raises PaneLost, TmuxError."""
        waiting, current = Waiting(self._settings, self._activity), self._lookout.current()
        if current is not None and self._lookout.judge(current).ready and self._cooling() <= 0:
            self._owed = ""
            return
        while True:
            await asyncio.sleep(max(0.0, self._cooling()))
            armed = waiting.arm(self._lookout.pane)
            pane, state, verdict = await self.look()
            pasted, before = "" if verdict.ready else _last_pasted(state), self._owed
            self._owed = pasted if pasted in map(mark_of, held()) else ""
            if verdict.ready:
                return
            if (
                self._owed and self._owed != before
            ):  # the pane may not become ready before `inject` has resumed that ticket
                await asyncio.sleep(self._settings.poll_min / 1000)
                return
            await waiting.pause(
                pane, state, verdict, armed, self._lookout.rules.still - self._lookout.still
            )
            if self._owed:  # it could not be resumed yet: again after a pause
                return

    def owes(self, ticket_id: str) -> bool:
        """Did `wait_ready` return because this ticket was typed here, the last of all, and is not acknowledged? No other can go before it."""
        return self._owed == mark_of(ticket_id)

    async def inject(
        self, ticket: Ticket, time_left: Callable[[], float] = lambda: math.inf, again: bool = False
    ) -> Evidence:
        """Type `ticket`, once, now. Raises PaneNotReady, PaneLost, Uncertain, TmuxError.

        `time_left`: seconds for which the claim surely holds. It is asked right before the guarded paste. What another
        watcher had typed before our look, the marks tell; what came after the look fails the guard, which knows the
        marks, and the claim's end, too. `again`: type a command again although its Enter was pressed.
        """
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            state = self._lookout.current() or await self._lookout.observe()
            mark = mark_of(ticket.ticket_id)
            sent = Sent.read(state.sent, mark)
            is_command = sent is not None and sent.form != "agent"
            if sent is not None and not (again and is_command) and not self._went_with(sent, state):
                # Enter was pressed before a crash, or by another watcher, or was not taken at once.
                taken = False if is_command else await self._is_taken(ticket, state)
                return self._evidence(sent.form, sent.at_ms, taken, state)
            pasted = Pasted.read(state.pasted, mark)
            if (
                pasted is not None
                and (sent is None or pasted.at_ms > sent.at_ms)
                and not _has_ended(pasted.process, state)
            ):
                resumed = await self._resume(ticket, state, pasted, time_left)
                if resumed is not None:
                    return resumed
            state = await self._ready_state(state, mark)
            return await self._type(ticket, state, time_left)

    def _went_with(self, sent: Sent, state: PaneState) -> bool:
        """Has the program ended that never took the text? Where it was not seen to stand there to the last, the program may have
        taken it while nothing looked: that is not known, and the text is not typed again. Raises Uncertain."""
        if not _has_ended(sent.stands_in, state):
            return False
        if now_ms() - sent.seen_ms > self._settings.enter_wait + _SEEN_MS:
            reason = f"the program in {self._lookout.label} has ended, and may have taken the text before"
            raise Uncertain(f"{reason}; it is not typed again")
        return True

    async def _ready_state(self, state: PaneState, mark: str) -> PaneState:
        """The state, or a later one, in which the pane is ready; waits only for the screen to have stood still."""
        if self._cooling() > 0:
            raise PaneNotReady(
                f"cooling down: the last ticket was typed less than {self._settings.cool_down} ms ago"
            )
        other, pasted_ms = last_unsent(state.pasted, state.sent, state.process)
        if (
            other not in ("", mark)
            and now_ms() - pasted_ms < self._settings.verify_timeout + _LATE_MS
        ):
            raise PaneNotReady("the text of another ticket is on its way into this pane")
        verdict = self._lookout.judge(state)
        if verdict.rule == "settling":
            await asyncio.sleep(max(0.0, self._lookout.rules.still - self._lookout.still) + 0.01)
            state = await self._lookout.observe()
            verdict = self._lookout.judge(state)
        if not verdict.ready:
            raise PaneNotReady(verdict.reason)
        return state

    async def _type(
        self, ticket: Ticket, state: PaneState, time_left: Callable[[], float]
    ) -> Evidence:
        sight = self._lookout.sight(state)
        text = self._text(ticket, sight)
        mark = mark_of(ticket.ticket_id)
        if sight.is_command and state.terminal.canonical:
            state = await reprint(self._lookout, state, self._settings.verify_timeout / 1000)
        if is_argument(text):
            load = ["set-buffer", "-b", self._buffer, "--", text, ";"]  # one process for both
        else:
            load = []
            await self._lookout.run(
                "load-buffer", "-b", self._buffer, "-", stdin=text.encode("utf-8")
            )
        left = time_left()
        if left <= 0:  # and the marks may have forgotten it by now
            if not load:
                await self._lookout.run("delete-buffer", "-b", self._buffer)
            raise PaneNotReady(
                "the claim ran out before anything was typed; another watcher may have the ticket"
            )
        guard = await self._lookout.guard_within(state, left)
        pasted = self._lookout.mark(state.pasted, mark, str(Pasted(state.process, now_ms())))
        paste = [*load, *guard.paste(self._buffer, pasted)]
        if sight.is_command:
            is_prompt = _prompt_like(state.left)
            after = await self._lookout.guarded_look(paste, SHELL_STEP)
            return self._evidence(
                *await self._submitter.submit_command(after, text, is_prompt, mark, time_left),
                state,
            )
        await self._lookout.guarded(paste)
        return self._evidence(
            *await self._submitter.submit(Draft.of(text, state.rows), mark, time_left), state
        )

    def _text(self, ticket: Ticket, sight: Sight) -> str:
        state, template = sight.state, self._template
        if sight.form == "agent":
            shell_below = bool(state.terminal.below)
            if sight.takes_lines:
                return forms.line_text(ticket, template, shell_below)
            return forms.agent_text(ticket, self._settings.body_cap, template, shell_below)
        if sight.form == "repl" and sight.repl:
            return forms.repl_command(ticket.ticket_id, template, sight.repl)
        return forms.shell_command(ticket.ticket_id, template)

    async def _resume(
        self, ticket: Ticket, state: PaneState, pasted: Pasted, time_left: Callable[[], float]
    ) -> Evidence | None:
        """The text was pasted, and no Enter of ours followed: by a crash, or because it did not show in time. None: it is a
        command, and the line is empty, so that it may be typed again."""
        sight, mark = self._lookout.sight(state), mark_of(ticket.ticket_id)
        if pasted.process != state.process:
            raise self._in_background(ticket)
        text, verdict = self._text(ticket, sight), self._lookout.judge(state)
        if sight.is_command:
            is_start = _is_nothing if state.terminal.canonical else looks_like_line_start
            if holds_command(state, text, is_start):
                return self._evidence(
                    *await self._submitter.submit_command(state, text, is_start, mark, time_left),
                    state,
                )
            return None  # the pane must be ready, as for a new one
        draft = Draft.of(text)
        standing = draft.standing(sight)
        if standing is Standing.WHOLE:
            return self._evidence(
                *await self._submitter.submit(draft, mark, time_left, is_new=False), state
            )
        is_late = now_ms() - pasted.at_ms < self._settings.verify_timeout + _LATE_MS
        is_free = verdict.ready and not is_late
        if is_free and draft.is_told(state):  # a person has pressed Enter
            return self._evidence(sight.form or "agent", now_ms(), False, state)
        if is_free:
            raise Uncertain(
                f"ticket {ticket.ticket_id} was pasted into {self._lookout.label} and is no longer in its input; it is not typed again"
            )
        raise HalfDelivered(
            f"ticket {ticket.ticket_id} was pasted and waits for its Enter: {verdict.reason}"
        )

    async def _is_taken(self, ticket: Ticket, state: PaneState) -> bool:
        """Enter was pressed in an agent before. Raises HalfDelivered, Uncertain, PaneLost."""
        sight, mark = self._lookout.sight(state), mark_of(ticket.ticket_id)
        pasted = Pasted.read(state.pasted, mark)
        if sight.form == "agent" and (pasted is None or pasted.process == state.process):
            return await self._submitter.wait_taken(
                Draft.of(self._text(ticket, sight)), mark, state
            )
        if pasted is not None and is_alive(pasted.process):
            raise self._in_background(ticket)
        if Draft.of(forms.agent_text(ticket, self._settings.body_cap, self._template)).is_told(
            state
        ):
            return False  # it stands in what the agent has left on the screen
        raise Uncertain(
            f"the program in {self._lookout.label} that got ticket {ticket.ticket_id} has ended, and was not seen to take it"
        )

    def _in_background(self, ticket: Ticket) -> HalfDelivered:
        return HalfDelivered(
            f"ticket {ticket.ticket_id} stands in a program of {self._lookout.label} that is in the background now"
        )

    def note_ran(self) -> None:
        """A command that was typed here has said that it ran."""
        self._lookout.note_ran(self._submitter.submitted)

    def _cooling(self) -> float:
        """Seconds until the next ticket may be typed."""
        return self._submitter.submitted + self._settings.cool_down / 1000 - time.monotonic()

    def _evidence(self, form: str, submitted_ms: int, verified: bool, state: PaneState) -> Evidence:
        is_opaque = self._lookout.sight(state).kind is Kind.OPAQUE
        return Evidence(
            self._lookout.label,
            form,
            rfc3339(submitted_ms),
            verified,
            state.pane_id,
            state.tty,
            is_opaque,
        )


def _has_ended(process: str, state: PaneState) -> bool:
    """Has the program ended that got the text? "" names none."""
    if process in ("", state.process):
        return False
    return not is_alive(process)


def _prompt_like(prompt: str) -> Callable[[str], bool]:
    """Is it that prompt, perhaps drawn anew?"""
    return lambda head: head.rstrip() == prompt.rstrip() or is_alike(head, prompt)


def _is_nothing(head: str) -> bool:
    """What our command stands behind in a shell without a line editor (typed_ahead.py)."""
    return head == ""


def looks_like_line_start(head: str) -> bool:
    """After a crash the prompt of then is not known."""
    return looks_like_prompt(head) or re.fullmatch(r">>> ?|> ?", head) is not None


def _last_pasted(state: PaneState) -> str:
    """The mark of what was pasted last into the program that runs here; "" when nothing was."""
    mark, _, value = (state.pasted.split()[-1:] or [""])[0].rpartition("=")
    return mark if value.partition("-")[0] == state.process else ""
