"""Names in the commands that we print or type: the broker, the program, an agent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from bridge.self_command import quoted, show_template
from bridge.settings import ClientSettings, TmuxSettings


def broker_words(url: str) -> str:
    """The flag that names the broker; "" for the default broker."""
    return (
        f" --broker-url {quoted(url)}" if url != ClientSettings.broker_url and quoted(url) else ""
    )


def name_program(settings: TmuxSettings, broker: str) -> TmuxSettings:
    """Settings with the command that is typed into a shell: the configured one, or ours.

    The shell in the pane may have another PATH and another environment. So our own command
    names the path of this program, and the broker unless it is the default one.
    """
    return replace(
        settings, shell_command=show_template(settings.shell_command, broker_words(broker))
    )


def alike(name: str, names: Iterable[str]) -> list[str]:
    """At most three names that are similar to `name`, without regard to case."""
    folded = {other.casefold(): other for other in names if other != name}
    return [folded[found] for found in difflib.get_close_matches(name.casefold(), folded, 3)]
