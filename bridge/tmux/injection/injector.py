"""One ticket into one pane: typed once, completely, and only when the pane is ready.

    look ─► ready? ─► load ─► claim valid? ─► guarded paste ─► pasted
              │no                │no             │NO
              ▼                  ▼               ▼
         PaneNotReady       PaneNotReady    PaneNotReady

    pasted ─► on the screen? ─► guarded Enter ─► taken?
                 │no               │NO             │no
                 ▼                 ▼               ▼
            PaneNotReady      PaneNotReady    Enter again

submit.py does all that follows the paste. An agent's text is never typed a second time,
whatever happens after the paste. The pane's marks record that it was pasted, and a later call
continues from there (resume.py). Only Enter is repeated.

A shell or a REPL gets a command, and that may be typed again in two cases. Either no Enter
followed the first one, or the caller asks for it because `show` never reported that it ran.
A command that runs twice shows a ticket twice, and does nothing else.

`inject` tries once, now. It must not be cancelled half-way, so the caller shields it. If it is
cancelled, or the process dies, the marks make the next call correct.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Callable

from bridge.errors import PaneNotReady
from bridge.self_command import show_template
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.tmux.injection import ticket_text
from bridge.tmux.injection.evidence import Evidence
from bridge.tmux.injection.pane_marks import Pasted, Sent, last_unsent, mark_of
from bridge.tmux.injection.pasted_text import PastedText
from bridge.tmux.injection.resume import LATE_MS, Resumption, has_ended
from bridge.tmux.injection.submit import SHELL_STEP, Submitter, now_ms
from bridge.tmux.readiness.observer import Lister, PaneObserver
from bridge.tmux.readiness.program import Kind, Sight
from bridge.tmux.readiness.prompts import is_alike
from bridge.tmux.readiness.recheck import Recheck
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.readiness.typed_ahead import reprint
from bridge.tmux.readiness.verdict import Verdict
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.identity import Pane
from bridge.tmux.server.paste_buffers import is_argument, new_name


class Injector:
    """Types tickets into the pane that `session` and `pane` name.

    A lost pane is found again by its name.
    """

    def __init__(
        self,
        tmux: Tmux,
        session: str,
        pane: str,
        settings: TmuxSettings = TmuxSettings(),
        form: str = "auto",
        tty_events: TtyEvents | None = None,
        pane_list: Lister | None = None,
    ) -> None:
        self._tty_events = tty_events  # None: no events, the pane is polled
        self._observer = PaneObserver(tmux, session, pane, settings, form, pane_list, tty_events)
        self._submitter = Submitter(self._observer, settings)
        self._settings = settings
        self._template = ticket_text.check_command(show_template(settings.shell_command))
        self._buffer = new_name()
        self._resumption = Resumption(
            self._observer, self._submitter, settings, self._template, self._text
        )
        self._owed = ""  # mark of the ticket whose text keeps the pane from being ready
        # Created inside the loop: Python 3.9 binds a lock to the loop that is current then.
        self._turn: asyncio.Lock | None = None

    @property
    def template(self) -> str:
        """The command that a shell gets, with {id} where the ticket's id goes."""
        return self._template

    def command(self, ticket: Ticket) -> str:
        """The exact command that a shell gets for this ticket."""
        return ticket_text.shell_command(ticket.ticket_id, self._template)

    @property
    def pane(self) -> Pane | None:
        """The pane as it was found; None before the first look and after a loss."""
        return self._observer.pane

    async def look(self) -> tuple[Pane, PaneState, Verdict]:
        """Find the pane if necessary, look at it, judge it. Raises PaneLost, TmuxError."""
        state = await self._observer.observe()
        assert self._observer.pane is not None
        return self._observer.pane, state, self._observer.judge(state)

    async def explain(self) -> Verdict:
        """May the pane be typed into now, and why or why not?"""
        return (await self.look())[2]

    async def check(self) -> None:
        """An idle look: does the pane exist? Raises PaneLost, TmuxError.

        The screen is read only if the program has written something since the last look. Then the
        screen's stillness is already known when a ticket arrives.
        """
        await self._observer.confirm()
        if not self._observer.is_still:
            await self.look()

    def preview(self, ticket: Ticket, state: PaneState) -> tuple[Sight, str]:
        """The classified program, and the exact text that `inject` would type.

        The text is "" where nothing may be typed.
        """
        sight = self._observer.sight(state)
        return sight, self._text(ticket, sight) if sight.form else ""

    async def wait_ready(self, held: Callable[[], Iterable[str]] = lambda: ()) -> None:
        """Return when the pane may be typed into, or when a ticket of `held` is half delivered.

        `held` returns the ids of the caller's tickets. Raises PaneLost, TmuxError.
        """
        waiting, current = Recheck(self._settings, self._tty_events), self._observer.current()
        if current is not None and self._observer.judge(current).ready and self._cooling() <= 0:
            self._owed = ""
            return
        while True:
            await asyncio.sleep(max(0.0, self._cooling()))
            armed = waiting.arm(self._observer.pane)
            pane, state, verdict = await self.look()
            pasted, before = "" if verdict.ready else _last_pasted(state), self._owed
            self._owed = pasted if pasted in map(mark_of, held()) else ""
            if verdict.ready:
                return
            # The pane may not become ready before `inject` has resumed that ticket.
            if self._owed and self._owed != before:
                await asyncio.sleep(self._settings.poll_min / 1000)
                return
            await waiting.pause(
                pane, state, verdict, armed, self._observer.rules.still - self._observer.still
            )
            if self._owed:  # `inject` could not resume it yet: try again after a pause
                return

    def owes(self, ticket_id: str) -> bool:
        """Did `wait_ready` return because of this ticket?

        It is then the ticket that was typed here last, and it is not acknowledged. No other ticket
        can be typed before it.
        """
        return self._owed == mark_of(ticket_id)

    async def inject(
        self, ticket: Ticket, time_left: Callable[[], float] = lambda: math.inf, again: bool = False
    ) -> Evidence:
        """Type `ticket`, once, now. Raises PaneNotReady, PaneLost, Uncertain, TmuxError.

        `time_left`: seconds for which the claim is certainly valid, read right before the guarded
        paste. The marks show what another watcher typed before our look. The guard fails on what
        it typed later, because its condition contains the marks and the claim's end.

        `again`: type a command again although its Enter was pressed.
        """
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            state = self._observer.current() or await self._observer.observe()
            mark = mark_of(ticket.ticket_id)
            sent = Sent.read(state.sent, mark)
            is_command = sent is not None and sent.form != "agent"
            past = self._resumption
            if sent is not None and not (again and is_command) and not past.went_with(sent, state):
                # Enter was pressed before a crash, or by another watcher, or was not taken at once.
                taken = False if is_command else await past.is_taken(ticket, state)
                return self._evidence(sent.form, sent.at_ms, taken, state)
            pasted = Pasted.read(state.pasted, mark)
            if (
                pasted is not None
                and (sent is None or pasted.at_ms > sent.at_ms)
                and not has_ended(pasted.process, state)
            ):
                resumed = await past.resume(ticket, state, pasted, time_left)
                if resumed is not None:
                    return self._evidence(*resumed, state)
            state = await self._ready_state(state, mark)
            return await self._type(ticket, state, time_left)

    async def _ready_state(self, state: PaneState, mark: str) -> PaneState:
        """This state or a later one, in which the pane is ready.

        Waits for nothing but a screen that stands still. Raises PaneNotReady.
        """
        if self._cooling() > 0:
            raise PaneNotReady(
                "cooling down: "
                f"the last ticket was typed less than {self._settings.cool_down} ms ago"
            )
        other, pasted_ms = last_unsent(state.pasted, state.sent, state.process)
        if (
            other not in ("", mark)
            and now_ms() - pasted_ms < self._settings.verify_timeout + LATE_MS
        ):
            raise PaneNotReady("the text of another ticket is on its way into this pane")
        verdict = self._observer.judge(state)
        if verdict.rule == "settling":
            await asyncio.sleep(max(0.0, self._observer.rules.still - self._observer.still) + 0.01)
            state = await self._observer.observe()
            verdict = self._observer.judge(state)
        if not verdict.ready:
            raise PaneNotReady(verdict.reason)
        return state

    async def _type(
        self, ticket: Ticket, state: PaneState, time_left: Callable[[], float]
    ) -> Evidence:
        sight = self._observer.sight(state)
        text = self._text(ticket, sight)
        mark = mark_of(ticket.ticket_id)
        if sight.is_command and state.terminal.canonical:
            state = await reprint(self._observer, state, self._settings.verify_timeout / 1000)
        if is_argument(text):
            # One process loads the buffer and pastes it.
            load = ["set-buffer", "-b", self._buffer, "--", text, ";"]
        else:
            load = []
            await self._observer.run(
                "load-buffer", "-b", self._buffer, "-", stdin=text.encode("utf-8")
            )
        left = time_left()
        # After the claim's end another watcher may have typed the ticket, and the ring of marks
        # may have dropped its mark since.
        if left <= 0:
            if not load:
                await self._observer.run("delete-buffer", "-b", self._buffer)
            raise PaneNotReady(
                "the claim ran out before anything was typed; another watcher may have the ticket"
            )
        guard = await self._observer.guard_within(state, left)
        pasted = self._observer.mark(state.pasted, mark, str(Pasted(state.process, now_ms())))
        paste = [*load, *guard.paste(self._buffer, pasted)]
        if sight.is_command:
            is_prompt = _prompt_like(state.left)
            after = await self._observer.guarded_look(paste, SHELL_STEP)
            return self._evidence(
                *await self._submitter.submit_command(after, text, is_prompt, mark, time_left),
                state,
            )
        await self._observer.guarded(paste)
        return self._evidence(
            *await self._submitter.submit(PastedText.of(text, state.rows), mark, time_left), state
        )

    def _text(self, ticket: Ticket, sight: Sight) -> str:
        state, template = sight.state, self._template
        if sight.form == "agent":
            shell_below = bool(state.terminal.below)
            if sight.takes_lines:
                return ticket_text.line_text(ticket, template, shell_below)
            return ticket_text.agent_text(ticket, self._settings.body_cap, template, shell_below)
        if sight.form == "repl" and sight.repl:
            return ticket_text.repl_command(ticket.ticket_id, template, sight.repl)
        return ticket_text.shell_command(ticket.ticket_id, template)

    def note_ran(self) -> None:
        """A command that was typed here has reported that it ran."""
        self._observer.note_ran(self._submitter.submitted)

    def _cooling(self) -> float:
        """Seconds until the next ticket may be typed."""
        return self._submitter.submitted + self._settings.cool_down / 1000 - time.monotonic()

    def _evidence(self, form: str, submitted_ms: int, verified: bool, state: PaneState) -> Evidence:
        is_opaque = self._observer.sight(state).kind is Kind.OPAQUE
        return Evidence(
            self._observer.label,
            form,
            rfc3339(submitted_ms),
            verified,
            state.pane_id,
            state.tty,
            is_opaque,
        )


def _prompt_like(prompt: str) -> Callable[[str], bool]:
    """A test for this prompt, also when the shell has drawn it again."""
    return lambda head: head.rstrip() == prompt.rstrip() or is_alike(head, prompt)


def _last_pasted(state: PaneState) -> str:
    """The mark of what was pasted last into the program that runs here; "" for none."""
    mark, _, value = (state.pasted.split()[-1:] or [""])[0].rpartition("=")
    return mark if value.partition("-")[0] == state.process else ""
