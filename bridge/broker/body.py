"""JSON in, within limits; JSON out.

A body is an object of at most `depth` levels and VALUES_MAX values: the cost of reading it grows
with these, and not with its bytes. Python's json also reads NaN, Infinity and numbers beyond a
double, which JSON does not have. They are refused, because the broker would pass them on to every
watcher.
"""

from __future__ import annotations

import json
import re
from json.encoder import c_make_encoder  # type: ignore[attr-defined]
from json.encoder import encode_basestring as _quote  # what JSONEncoder itself quotes with
from typing import Any, Callable

from bridge.errors import BadValue

# Values of one body; a list or an object counts twice. Reading and keeping them takes 2 ms.
VALUES_MAX = 20_000
_PAIR_ROUNDS = 4  # rounds that remove the innermost pairs: the rest is short, or has long runs
_RUN = re.compile(rb"\[+|\]+")
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
INT_MAX = (1 << 53) - 1  # every JSON reader agrees on integers up to this, RFC 8259 section 6
INFINITY = float("inf")


def _refuse_constant(name: str) -> None:
    raise BadValue(f"{name} is no JSON value (RFC 8259 section 6)")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (INFINITY, -INFINITY):
        raise BadValue("a number in the body is beyond the range of a double")
    return value


# Made once: json.dumps(..., separators=...) and json.loads(..., parse_constant=...) build a new
# encoder or decoder for each call.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_raw_decode = _decoder.raw_decode
_encode_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def _refuse_value(content: object) -> None:
    raise TypeError(f"{type(content).__name__} is no JSON value")


# The function with which JSONEncoder(ensure_ascii=False, ...) does all its work. JSONEncoder makes
# a new one for each call, which takes as long as encoding a small object. This one looks for no
# cycles: what is encoded here was decoded from JSON, or built by a literal.
_encode_parts: Callable[[object, int], tuple[str, ...]] = c_make_encoder(
    None, _refuse_value, _quote, None, ":", ",", False, False, False
)


# Hot: a few times per ticket.
def encode_text(content: object) -> str:
    """JSON that can be encoded as UTF-8: lone surrogates, which cannot, stay as \\u escapes.

    Raises BadValue.
    """
    try:
        text = _quote(content) if type(content) is str else "".join(_encode_parts(content, 0))
        if not text.isascii():
            text.encode()
        return text
    except UnicodeEncodeError:
        return _encode_ascii(content)
    except ValueError:
        raise BadValue("a number in the body is beyond the range of a double") from None


def encode(content: object) -> bytes:
    """JSON as UTF-8."""
    return encode_text(content).encode()


def decode(data: bytes, depth: int) -> Any:
    """Any JSON value. Raises BadValue, which says where the text is wrong."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadValue(f"the body is not UTF-8 (byte {error.start})") from None
    brackets = data.count(b"{") + data.count(b"[")
    commas_max = VALUES_MAX - depth
    if brackets > depth or (len(data) > commas_max and data.count(b",") > commas_max):
        _check_shape(data, depth)
    try:
        content, end = _raw_decode(text) if text[:1] == "{" else (None, -1)
        return (
            content if end == len(text) else _decoder.decode(text)
        )  # white space around it, or not an object
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadValue(f"the body is not JSON: {error}") from None
    except ValueError:  # more digits than the interpreter reads
        raise BadValue("an integer in the body has too many digits") from None


def _check_shape(data: bytes, depth: int) -> None:
    """Refuse too many values or levels before they are decoded. Raises BadValue."""
    outside = _outside_strings(data)
    values = 1 + outside.count(b",") + outside.count(b"[") + outside.count(b"{")
    if values > VALUES_MAX:
        raise _too_many()
    if _is_deeper(outside.translate(_AS_LISTS, _NO_BRACKETS), depth):
        raise BadValue(f"the body is nested deeper than {depth} levels")


def _too_many() -> BadValue:
    detail = f"the body holds more than {VALUES_MAX} values; send fewer, or all of them as one text"
    return BadValue(detail)


def _outside_strings(data: bytes) -> bytes:
    """The text without its strings. Raises BadValue if there are too many strings."""
    if b"\\" in data:  # after this, each quote that is left begins or ends a string
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = data.split(b'"', 4 * VALUES_MAX + 1)  # a member has two strings, a string two quotes
    if len(parts) > 4 * VALUES_MAX + 1:
        raise _too_many()
    return b"".join(parts[::2])


def _is_deeper(brackets: bytes, depth: int) -> bool:
    """Return whether these `[` and `]` are nested deeper than `depth`."""
    for _ in range(_PAIR_ROUNDS):
        without = brackets.replace(b"[]", b"")  # the innermost level of each branch
        if len(without) == len(brackets):
            break
        brackets, depth = without, depth - 1
    level = deepest = 0
    for run in _RUN.findall(brackets):
        level += len(run) if run[:1] == b"[" else -len(run)
        deepest = max(deepest, level)
    return deepest > depth


def decode_object(data: bytes, depth: int) -> dict[str, Any]:
    """A JSON object. An empty body counts as {}."""
    fields = decode(data, depth) if data else {}
    if not isinstance(fields, dict):
        raise BadValue("the body must be a JSON object")
    return fields


def take_object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadValue(f"{name} must be an object")
    return value


def take_text(fields: dict[str, Any], name: str, default: str, limit: int = 256) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > limit:
        raise BadValue(f"{name} must be a string of at most {limit} characters")
    return value


def take_flag(fields: dict[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadValue(f"{name} must be true or false")
    return value


def take_int(
    fields: dict[str, Any], name: str, default: int, low: int = 0, high: int = INT_MAX
) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadValue(f"{name} must be a whole number from {low} to {high}")
    return value


def weight(text: str) -> int:
    """An estimate of the memory of a JSON text after decoding.

    `[[],[]]` takes twenty times its length.
    """
    return len(text) + 64 * (text.count(",") + text.count("[")) + 192 * text.count("{")


def canonical(content: object) -> str:
    """JSON with sorted keys. Bodies are equal if these texts are: True is not 1, 1 is not 1.0."""
    return json.dumps(content, sort_keys=True)
