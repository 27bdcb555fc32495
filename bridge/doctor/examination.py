"""The table of checks. Each failure inside a check becomes a finding.

    check ─► thread of its own ─► Finding | crash: fail | timeout: fail

A check runs in a thread, because it may hang in a call that cannot be cancelled: to a name
server, to a network disk. Such a thread is abandoned, so it is a daemon. A check may run its
own event loop.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from bridge.doctor import broker, machine, store, tmux
from bridge.doctor.finding import Check, Finding, Grade, Setup, fail

CHECKS = (
    Check("python", machine.python),
    Check("sqlite", machine.sqlite),
    Check("locale", machine.locale),
    Check("files", machine.descriptors),
    Check("name", machine.name),
    Check("command", machine.command),
    Check("tmux", tmux.program),
    Check("server", tmux.server, needs="tmux"),
    Check("broker", broker.reachable),
    Check("version", broker.version, needs="broker"),
    Check("proxy", broker.proxy, needs="broker"),
    Check("stream", broker.stream, needs="broker"),
    Check("clock", broker.clock, needs="broker"),
    Check("store", store.sound),
    Check("mode", store.private),
    Check("disk", store.disk),
)


def examine(setup: Setup, checks: tuple[Check, ...] = CHECKS) -> Iterator[tuple[Check, Finding]]:
    """Each check with its finding, as it is made. Checks that need a failed check are left out."""
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            continue
        finding = make(check, setup)
        if finding.grade is Grade.FAIL:
            failed.add(check.name)
        yield check, finding


def make(check: Check, setup: Setup) -> Finding:
    """The check's finding, also if it hangs or crashes."""
    seconds = (setup.doctor.check_deadline + setup.watcher.first_byte) / 1000
    answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(check.examine(setup))
        except Exception as error:
            # A crashed check must not hide the others, so it is a finding.
            words = f"this check broke: {type(error).__name__}: {error}"
            answers.put(
                fail(
                    words,
                    "the other checks are valid; please report this one, with your system's name "
                    "and version",
                )
            )

    threading.Thread(target=work, name=f"doctor-{check.name}", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return fail(
            f"this check did not end within {seconds:g} s",
            "find what hangs: a name server, a network disk, a stopped process",
        )
