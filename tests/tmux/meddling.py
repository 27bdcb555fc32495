"""A Tmux that runs a callback right before or after a chosen call: a key press, a mode, a crash."""

from __future__ import annotations

from typing import Callable

from bridge.tmux.server.client import Tmux


class Meddling(Tmux):
    """Calls `act` right after each call of tmux for which `moment(argv, result)` is true.

    The `nth` such call is the first that counts, and `times` calls count. With `before`, `act`
    runs right before the call, and `result` is "". An `act` that raises simulates a crash of the
    caller or a failure of tmux.
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
        return await self._beside(argv, super().run, stdin=stdin)

    async def query(self, *argv):
        return await self._beside(argv, super().query)

    async def run_guarded(self, *argv):
        return await self._beside(argv, super().run_guarded)

    async def _beside(self, argv, call, **options):
        if self._before:
            self._meddle(argv, "")
        result = await call(*argv, **options)
        if not self._before:
            self._meddle(argv, result)
        return result

    def _meddle(self, argv: tuple, result: str) -> None:
        if self._moment(argv, result):
            self._hits += 1
            if self._hits in self._wanted:
                self._act()


def guarded(argv: tuple, result: str) -> bool:
    """True for a sequence that tests a condition and types in one step (`if-shell`)."""
    return bool(typed(argv))


def typed(argv: tuple) -> str:
    """Return what a guarded sequence types if its condition holds; "" for other calls."""
    return argv[argv.index("if-shell") + 5] if "if-shell" in argv else ""


def enter(argv: tuple, result: str) -> bool:
    """True for the Enter that bridge sends, alone or after a command."""
    return "Enter" in typed(argv)


def shows(text: str) -> Callable[[tuple, str], bool]:
    """A moment: tmux's answer contains this text."""
    return lambda argv, result: text in result
