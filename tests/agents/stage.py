"""A Seat: one real agent in its pane, with a real broker and watcher and a stub of its model.

    broker process ─► watch process ─► tmux pane: (bash ─►) agent ─► stub of its model
                                            ▲
                                            └── a person's keys

With a Seat, a test sends tickets to the broker, types as a person does, and reads the screen. The
stub shows what reached the model.
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import time
import unicodedata

from homes import command
from panes import PaneHandle, Server, until
from processes import Watcher, end_all
from programs import FOLDER, Program
from running import Broker, new_name
from stub import Stub

START = 60.0  # seconds that an agent may take to start; aider's imports alone take ten
ARRIVAL = 25.0  # seconds until the screen or the watcher shows a change, on two busy cores
REPLY = r"[^\n]*?--broker-url \S+[ \n]*"  # the rest of the header
LINE_BREAK = " ⏎ "  # replaces a line break if an agent gets one line only
ENDINGS = ("\n</pasted_content", "\n\nTo suggest changes to a file")  # Claude's, aider's
HEADER = re.compile(r"\[bridge\] Message from \"max\"[^\n]* Ticket (\S+)\.[^\n]*(?:\n|$)")


class Seat:
    """An agent in its own pane, with its broker, watcher and model."""

    def __init__(
        self, program: Program, server: Server, broker: Broker, folder: pathlib.Path
    ) -> None:
        self.program, self.server, self.broker, self.folder = program, server, broker, folder
        self.name = new_name()
        self.work = folder / "work"
        self.lives: list[Stub] = []  # one model for each start of the agent, the newest last
        self.homes = 0
        self.watcher: Watcher | None = None
        self.pane: PaneHandle | None = None
        self.work.mkdir(parents=True)

    # -- start and end ----------------------------------------------------------------------------

    def open(self, has_shell: bool = True) -> Seat:
        """Start the agent: from a shell, as a person does, or as the pane's own process."""
        words, place = self._start_words()
        if has_shell:
            shell = {**place, "PS1": "$ ", "HISTFILE": "/dev/null"}
            self.pane = self._pane(["bash", "--norc", "--noprofile"], shell)
            until(lambda: self.screen().endswith("$"), "the shell's prompt")
            self._run(words)
        else:
            self.pane = self._pane(words, place)
        self.wait_empty(START)
        self.wait_still()
        return self

    def again(self) -> None:
        """Start the agent again, in the shell in which it ended."""
        words, place = self._start_words()
        ours = shlex.join(f"{name}={value}" for name, value in place.items())
        self._run(["env", *shlex.split(ours), *words])
        self.wait_empty(START)

    def _start_words(self) -> tuple[list[str], dict[str, str]]:
        self.homes += 1
        home = self.folder / f"home-{self.homes}"
        home.mkdir()
        self.lives.append(Stub().__enter__())
        path = self.program.path(os.environ[FOLDER])
        return command(self.program, path, str(home), str(self.work), self.stub.url)

    def _pane(self, words: list[str], place: dict[str, str]) -> PaneHandle:
        given = [f"{name}={value}" for name, value in place.items()]
        tmux = 'env -i TMUX="$TMUX" TMUX_PANE="$TMUX_PANE"'  # every pane has these two
        line = f"cd {shlex.quote(str(self.work))} && exec {tmux} {shlex.join([*given, *words])}"
        return self.server.open(shlex.join(["sh", "-c", line]), width=100, height=30)

    def _run(self, words: list[str]) -> None:
        line = shlex.join(words)
        script = self.folder / f"start-{self.homes}"  # a long line would wrap at the prompt
        script.write_text(f"#!/bin/sh\nexec {line}\n")
        script.chmod(0o700)
        self.pane.type(str(script))
        self.pane.keys("Enter")

    def watch(self, *flags: str, **settings: object) -> Watcher:
        """Start a watcher, after the previous one was stopped."""
        if self.watcher is not None:
            self.watcher.stop()
        words = [self.name, self.pane.session, "0", "-L", self.server.name, *flags]
        words += ["--broker-url", self.broker.url]
        self.watcher = Watcher(words, self.folder / f"{self.name}.log", **settings)
        return self.watcher

    def close(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()
        if self.pane is not None:
            self.server("kill-session", "-t", f"={self.pane.session}", check=False)
        for life in self.lives:
            life.__exit__(None, None, None)
        end_all(str(self.folder))

    # -- the pane ---------------------------------------------------------------------------------

    @property
    def stub(self) -> Stub:
        return self.lives[-1]

    def screen(self) -> str:
        rows = self.server("capture-pane", "-p", "-t", self.pane.id).split("\n")
        return "\n".join(row.rstrip() for row in rows).rstrip("\n")

    def shows(self, pattern) -> bool:
        return bool(re.search(pattern, self.screen()))

    def wait_shown(self, pattern, patience: float = ARRIVAL) -> None:
        until_or_say(lambda: self.shows(pattern), f"{pattern!r} on the screen", patience, self)

    def is_empty(self) -> bool:
        return self.stub.open == 0 and self.shows(self.program.empty)

    def wait_empty(self, patience: float = ARRIVAL) -> None:
        until(self.is_empty, f"{self.program.name}'s empty composer:\n{self.screen()}", patience)

    def wait_still(self) -> None:
        """Wait until two captures in a row are the same, so that all pressed keys are drawn."""
        seen = [""]

        def is_still() -> bool:
            before, now = seen[0], self.screen()
            seen[0] = now
            time.sleep(0.15)
            return before == now

        until(is_still, "a screen that stands still")

    def wait_at_model(self, word: str) -> None:
        patience = self.program.patience
        until_or_say(lambda: self.stub.first(word), f"{word!r} at the model", patience, self)

    def press(self, *keys: str) -> None:
        """Press keys as a person does; "L:text" is typed literally."""
        for key in keys:
            if key.startswith("L:"):
                self.pane.type(key[2:])
            else:
                self.pane.keys(key)

    def move(self, key: str) -> None:
        """Press a key that moves the cursor, and wait until the agent shows the move.

        Some agents draw the cursor as a cell in reverse video, and the terminal's is hidden.
        """
        before = self._cells()
        self.press(key)
        until_or_say(
            lambda: self._cells() != before, f"a move of the cursor by {key}", ARRIVAL, self
        )

    def _cells(self) -> str:
        """Return the screen with its attributes, and the place of the terminal's cursor."""
        place = self.server("display-message", "-p", "-t", self.pane.id, "#{cursor_x},#{cursor_y}")
        return self.server("capture-pane", "-p", "-e", "-t", self.pane.id) + place

    def type(self, text: str) -> str:
        """Type a person's words, wait until the agent shows them, and return them."""
        self.pane.type(text)
        last = [re.escape(word) for word in text.split()[-3:]]
        self.wait_shown(r"[\s│┃>]+".join(last))  # a row may end between them
        return text

    def submit(self, text: str) -> None:
        self.type(text)
        self.press("Enter")

    def wipe(self) -> None:
        """Clear a person's draft. One key too many would clear the text that bridge types next."""
        patience = self.program.patience
        until_or_say(lambda: self.stub.open == 0, "the end of its work", patience, self)
        self.wait_still()
        for _ in range(20):
            before = self.screen()
            self.press(*self.program.wipe)
            if self._becomes_empty(before):
                return
        raise AssertionError(self.tell("the draft was not cleared"))

    def _becomes_empty(self, before: str) -> bool:
        """Return True when the composer is empty, False when the screen changed and then is still.

        A slow agent needs this wait, because a second C-c would end it.
        """
        end, seen, since = time.monotonic() + 12.0, before, time.monotonic()
        while time.monotonic() < end:
            if self.is_empty():
                return True
            now = self.screen()
            if now != seen:
                seen, since = now, time.monotonic()
            elif now != before and time.monotonic() - since > 0.8:
                return False
        return False

    # -- tickets ----------------------------------------------------------------------------------

    def send(self, body: object) -> str:
        return self.broker.send(self.name, body, metadata={"origin": "max"})

    def ticket(self, ticket_id: str) -> dict:
        return self.broker.ticket(ticket_id)

    def is_verified(self, ticket_id: str) -> bool:
        history = self.ticket(ticket_id)["history"]
        found = [each.get("evidence", {}) for each in history if each["stage"] == "injected"]
        return any(evidence.get("verified") for evidence in found)

    def wait_delivered(self, ticket_id: str, more: float = 0.0) -> None:
        """Wait until the broker reports the ticket as delivered, and the model has it."""
        patience = self.program.patience + more
        done = lambda: self.ticket(ticket_id)["status"] != "pending"  # noqa: E731
        until_or_say(done, f"{ticket_id} delivered", patience, self)
        until_or_say(lambda: self.count(ticket_id), f"{ticket_id} at the model", patience, self)
        history = self.ticket(ticket_id)["history"]
        assert self.is_verified(ticket_id), self.tell(f"{ticket_id} was not verified: {history}")

    def wait_explained(self, ticket_id: str) -> str:
        """Wait until the watcher reports why the ticket waits, and return the reason."""
        pending = lambda: self.ticket(ticket_id)["status"] == "pending"  # noqa: E731
        told = lambda: self.told(ticket_id) or not pending()  # noqa: E731
        until_or_say(told, f"a reason why {ticket_id} waits", ARRIVAL, self)
        assert pending(), self.tell(f"{ticket_id} was delivered")
        return self.told(ticket_id)

    def told(self, ticket_id: str) -> str:
        """Return the watcher's reason for this ticket, from the broker's overview; "" if none."""
        rows = self.broker.ask("GET", f"/overview?agent={self.name}").json["agents"]
        waiting = (rows[0].get("waiting") or {}) if rows else {}
        return waiting.get("reason", "") if waiting.get("ticketId") == ticket_id else ""

    def count(self, word: str) -> int:
        """Return how often a ticket reached the models of all starts of the agent."""
        return sum(life.count(f"Ticket {word}.") for life in self.lives)

    def arrived(self, ticket_id: str) -> str:
        """Return the body as the model got it, without the header and without line prefixes."""
        word = f"Ticket {ticket_id}."
        text = next((text for text in (life.text_with(word) for life in self.lives) if text), "")
        body = re.split(rf"\[bridge\] Message from [^\n]*{re.escape(word)}{REPLY}", text)[-1]
        return re.sub(r"(?m)^\| ", "", body).replace(LINE_BREAK, "\n")

    def plain_arrival(self, ticket_id: str) -> str:
        """Return the arrived body without the text that the agent itself adds."""
        text = plain(self.arrived(ticket_id))
        for ending in ENDINGS:
            text = text.partition(ending)[0]
        return text.rstrip()

    def order(self) -> list[str]:
        """Return the tickets in the order in which they reached the model."""
        seen: list[str] = []
        for text in self.stub.texts():
            seen += [each for each in HEADER.findall(text) if each not in seen]
        return seen

    def expected(self, body: str) -> str:
        """Return the body as this agent sends it to its model."""
        for change in self.program.changes:
            body = re.sub(change.found, change.becomes, body)
        return plain(body)

    def tell(self, what: str) -> str:
        """Return a failure message with the screen and the end of the watcher's log."""
        log = self.watcher.said()[-1500:] if self.watcher else "no watcher"
        return f"{self.program.name}: {what}\n--- screen\n{self.screen()}\n--- watcher\n{log}"


def until_or_say(condition, what: str, patience: float, seat: Seat) -> None:
    try:
        until(condition, what, patience)
    except AssertionError:
        raise AssertionError(seat.tell(f"never came: {what}")) from None


def plain(text: str) -> str:
    """Normalize a text for comparison: NFC, without blanks at the ends of lines."""
    rows = unicodedata.normalize("NFC", text).split("\n")
    return "\n".join(row.rstrip() for row in rows).strip("\n")
