"""What happens in the very moment of a call to tmux: a key of a person's, another mode, a crash."""

from __future__ import annotations

from typing import Callable

from bridge.tmux.command import Tmux


class Meddling(Tmux):
    """Calls `act` right after calls of which `moment(argv, result)` is true, the `nth` and so many `times`; or right `before` them,
    where `result` is "".

    `act` may raise: then the caller has died there, or tmux has failed.
    """

    def __init__(
        self,
        name: str,
        moment: Callable[[tuple, str], object],
        act: Callable[[], object],
        *,
        before: bool = False,
        nth: int = 1,
        times: int = 1,
    ) -> None:
        super().__init__(socket_name=name)
        self._moment, self._act, self._before = moment, act, before
        self._hits, self._wanted = 0, range(nth, nth + times)

    async def run(self, *argv, stdin=None):
        if self._before:
            self._meddle(argv, "")
        result = await super().run(*argv, stdin=stdin)
        if not self._before:
            self._meddle(argv, result)
        return result

    def _meddle(self, argv: tuple, result: str) -> None:
        if self._moment(argv, result):
            self._hits += 1
            if self._hits in self._wanted:
                self._act()


def guarded(argv: tuple, result: str) -> bool:
    """A sequence that tests and types in one step, perhaps with a look behind it."""
    return bool(typed(argv))


def typed(argv: tuple) -> str:
    """What a guarded sequence types if nothing has changed; "" where it is none."""
    return argv[argv.index("if-shell") + 5] if "if-shell" in argv else ""


def enter(argv: tuple, result: str) -> bool:
    """Our Enter, alone or behind a command."""
    return "Enter" in typed(argv)


def shows(text: str) -> Callable[[tuple, str], bool]:
    """A look that sees this."""
    return lambda argv, result: text in result
