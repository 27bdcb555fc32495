"""How one setting is described and read: flag > environment > default.

A settings class is a frozen dataclass. Each field is made by `setting` and carries the
environment variables that set it, its meaning and its range. `load` reads a class from flags
and from the environment; a flag that is None was not given. `cli/flags.py` makes the flags
from the same fields, so each setting is described once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from bridge.errors import UsageError

S = TypeVar("S")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
UNBOUNDED = float("inf")


def setting(
    default: Any,
    env: str,
    doc: str,
    low: float = 0,
    high: float = UNBOUNDED,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a settings class. `env` names its variables, separated by spaces; first wins.

    With an empty `env` there is only the flag.
    """
    return field(
        default=default,
        metadata={"env": env.split(), "doc": doc, "low": low, "high": high, "choices": choices},
    )


def load(
    cls: type[S], flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ
) -> S:
    """Read settings of class `cls`.

    Raises UsageError, which names the setting, its value and its range.
    """
    values: dict[str, Any] = {}
    for entry in fields(cls):  # type: ignore[arg-type]
        given = (flags or {}).get(entry.name)
        if given is not None:
            values[entry.name] = parse(entry, given, "--" + entry.name.replace("_", "-"))
            continue
        for variable in entry.metadata["env"]:
            if environ.get(variable):
                values[entry.name] = parse(entry, environ[variable], variable)
                break
    return cls(**values)


def parse(entry: Field[Any], text: object, source: str) -> Any:
    """Turn one flag or variable into a value of the field's type."""
    rules, low, high = entry.metadata, entry.metadata["low"], entry.metadata["high"]
    if isinstance(entry.default, bool):
        word = str(text).strip().lower()
        if word not in TRUE | FALSE:
            raise UsageError(f"{source} is {text!r}; it must be true or false")
        return word in TRUE
    if isinstance(entry.default, int):
        try:
            number = int(str(text))
        except ValueError:
            raise UsageError(f"{source} is {text!r}; it must be a whole number") from None
        if not low <= number <= high:
            span = f"at least {low}" if high == UNBOUNDED else f"{low} to {high}"
            raise UsageError(f"{source} is {number}; it must be {span}")
        return number
    if rules["choices"] and text not in rules["choices"]:
        raise UsageError(f"{source} is {text!r}; it must be one of {', '.join(rules['choices'])}")
    return str(text)
