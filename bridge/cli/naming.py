"""How a command of ours names the broker, agents, and the settings of what is typed into a pane."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from bridge.self_command import quoted, show_template
from bridge.settings import ClientSettings, TmuxSettings


def broker_words(url: str) -> str:
    """The flag that names the broker; "" for the default one."""
    return (
        f" --broker-url {quoted(url)}" if url != ClientSettings.broker_url and quoted(url) else ""
    )


def name_program(settings: TmuxSettings, broker: str) -> TmuxSettings:
    """Settings with the command that a shell gets: the chosen one, or this program's own.

    A shell in the pane does not know how this program was started: our own command names our
    path, and a broker that is not the default one.
    """
    return replace(
        settings, shell_command=show_template(settings.shell_command, broker_words(broker))
    )


def alike(name: str, names: Iterable[str]) -> list[str]:
    """At most three of the names that may have been meant; upper and lower case count as one."""
    folded = {other.casefold(): other for other in names if other != name}
    return [folded[found] for found in difflib.get_close_matches(name.casefold(), folded, 3)]
