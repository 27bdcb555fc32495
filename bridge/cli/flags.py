"""Flags from settings: `--sse-heartbeat` sets WatcherSettings.sse_heartbeat.

A flag that is not given is None. `settings.load` then takes the environment variable, or
else the default. Therefore no default and no description stands here a second time.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from bridge import settings

Settings = Any


def add_flags(
    parser: argparse.ArgumentParser,
    cls: type[Settings],
    title: str,
    only: frozenset[str] | None = None,
) -> None:
    """Give `parser` one flag per field of a settings class."""
    group = parser.add_argument_group(title)
    for entry in fields(cls):
        if only is not None and entry.name not in only:
            continue
        flag = "--" + entry.name.replace("_", "-")
        text = describe(entry)
        if isinstance(entry.default, bool):
            group.add_argument(
                flag, dest=entry.name, action="store_const", const="true", default=None, help=text
            )
            group.add_argument(
                "--no-" + flag[2:],
                dest=entry.name,
                action="store_const",
                const="false",
                default=None,
                help=f"the opposite of {flag}",
            )
        else:
            group.add_argument(
                flag, dest=entry.name, default=None, metavar=metavar_of(entry), help=text
            )


def metavar_of(entry: Any) -> str:
    if entry.metadata["choices"]:
        return "|".join(entry.metadata["choices"])
    return "N" if isinstance(entry.default, int) else "TEXT"


def describe(entry: Any) -> str:
    """The help line: meaning, default, variables. argparse would expand a plain `%`."""
    default = str(entry.default).lower() if isinstance(entry.default, bool) else str(entry.default)
    parts = ([f"default {default}"] if default else []) + list(entry.metadata["env"])
    return f"{entry.metadata['doc']} ({', '.join(parts)})".replace("%", "%%")


def load(cls: type[Settings], args: argparse.Namespace) -> Settings:
    """The settings of a command: flag > environment > default. Raises UsageError."""
    return settings.load(cls, vars(args))
