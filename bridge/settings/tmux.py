"""Settings of the tmux sink: when a pane is ready, and how text and Enter get into it.

Times are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.settings.setting import setting


@dataclass(frozen=True)
class TmuxSettings:
    """How a ticket gets into a pane."""

    tmux_deadline: int = setting(
        5000, "BRIDGE_TMUX_DEADLINE", "ms one tmux call may take; a healthy server needs 10", 50
    )
    quiet: int = setting(
        2000, "BRIDGE_QUIET", "ms without a person's key in the pane before anything is typed"
    )
    still: int = setting(
        300,
        "BRIDGE_STILL",
        "ms an agent's screen stands still before it counts as idle; spinners turn faster",
    )
    settle: int = setting(
        150,
        "BRIDGE_SETTLE",
        "ms pasted text must stand still before Enter; some composers take an Enter within 120 ms "
        "as part of the paste",
    )
    verify_timeout: int = setting(
        3000, "BRIDGE_VERIFY_TIMEOUT", "ms pasted text has to show on the screen", 50
    )
    enter_wait: int = setting(
        2000, "BRIDGE_ENTER_WAIT", "ms an agent has to take an Enter before it is pressed again", 50
    )
    enter_retries: int = setting(
        3, "BRIDGE_ENTER_RETRIES", "times Enter, and only Enter, is pressed again", 0, 10
    )
    body_cap: int = setting(
        8192,
        "BRIDGE_BODY_CAP",
        "bytes of a body that are pasted; the rest is read with `show`: agents fold or truncate "
        "long pastes",
        64,
        1 << 20,
    )
    poll_min: int = setting(
        50, "BRIDGE_POLL_MIN", "ms between looks at a pane that may be ready soon", 5
    )
    poll_max: int = setting(
        250, "BRIDGE_POLL_MAX", "ms between looks at a pane that stays busy; 6 ms of CPU each", 5
    )
    shown_wait: int = setting(
        15000,
        "BRIDGE_SHOWN_WAIT",
        "ms that a shell's `show` has to report that it ran, before its ticket counts as "
        "unconfirmed; `show` itself waits 10 s for a broker",
        100,
    )
    show_tries: int = setting(
        3,
        "BRIDGE_SHOW_TRIES",
        "times that `show` is typed into a shell while it does not report that it ran",
        1,
        100,
    )
    cool_down: int = setting(100, "BRIDGE_COOL_DOWN", "ms between two injections into one pane")
    ready_pattern: str = setting(
        "",
        "BRIDGE_READY_PATTERN",
        "a regular expression for a further prompt, searched in the text left of the cursor",
    )
    shell_command: str = setting(
        "",
        "BRIDGE_SHELL_COMMAND",
        "the constant command a shell gets; {id} becomes the ticket's id (default: show of this "
        "program, by its absolute path)",
    )
    control: str = setting(
        "off",
        "BRIDGE_CONTROL",
        "attach a control client, three times quicker than running tmux: auto = only where a "
        "person is attached and types, and nothing that they set up would show it; on = wherever "
        "no session would live longer or die, though bells, hooks and scripts show it; off by "
        "default: the server of tmux 3.3a can crash when a control client is killed",
        choices=("auto", "on", "off"),
    )
    allow_opaque: bool = setting(
        False,
        "BRIDGE_ALLOW_OPAQUE",
        "type into ssh, docker, script or a nested tmux, where sleep and password prompts cannot "
        "be seen",
    )
