"""Decoding of JSON within limits, in linear time.

The result is what the json module reads, or a BadValue.
"""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.broker import body
from bridge.errors import BadValue, Reason

DEPTH = 8
# Lone surrogates are included.
texts = st.text(alphabet=st.characters(blacklist_categories=()), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def nesting(value: object) -> int:
    """Return the depth of `value`, computed naively."""
    if isinstance(value, dict):
        return 1 + max(map(nesting, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(nesting, value), default=0)
    return 0


def same(left: object, right: object) -> bool:
    """Whether both are equal as JSON: True is not 1, and 1 is not 1.0."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@given(values, st.booleans(), st.sampled_from([None, 0, 2]))
def test_an_encoded_value_decodes_to_the_same_value(value, ascii_only, indent):
    assert same(body.decode(body.encode(value), 500), value)
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert (
        same(body.decode(text.encode("utf-8", "surrogatepass"), 500), value)
        if not has_surrogate(text)
        else True
    )


def has_surrogate(text: str) -> bool:
    return any(0xD800 <= ord(each) < 0xE000 for each in text)


@given(values)
def test_encoded_text_is_one_line_of_utf8(value):
    """It must fit into a `data:` line, a database column and a response."""
    data = body.encode(value)
    assert data.decode("utf-8") == body.encode_text(value)
    assert not set(b"\r\n\x00") & set(data)


@given(values, st.integers(1, 6))
@example([[["["]]], 3)
@example({"]]]]": [['\\"[[[[']]}, 3)
def test_a_value_is_refused_if_and_only_if_it_exceeds_the_depth(value, depth):
    data = json.dumps(value).encode()
    if nesting(value) <= depth:
        assert same(body.decode(data, depth), value)
    else:
        with pytest.raises(BadValue) as caught:
            body.decode(data, depth)
        assert caught.value.reason is Reason.MALFORMED and str(depth) in caught.value.detail


SMALL = ["[]", "{}", '""', "1", '{"a":"b"}', "[" * 7 + "]" * 7, '["\\\\",1]']


@pytest.mark.parametrize("text", SMALL)
def test_the_number_of_values_is_bounded(text):
    """Decoding at the bound takes about 2 ms of the event loop, for any kind of value."""
    # The decoder counts each list, each object, and each value behind a comma.
    marks = sum(map(text.count, "[{,")) + 1
    few, many = (body.VALUES_MAX - 2) // marks, body.VALUES_MAX // marks + 1
    assert len(body.decode(f"[{','.join([text] * few)}]".encode(), DEPTH)) == few
    with pytest.raises(BadValue) as caught:
        body.decode(f"[{','.join([text] * many)}]".encode(), DEPTH)
    assert caught.value.reason is Reason.MALFORMED and str(body.VALUES_MAX) in caught.value.detail


@pytest.mark.parametrize("text", ["a,b", "[]", '\\"', "{,", "\\", '\\",\\\\"'])
def test_brackets_and_commas_in_a_string_are_not_counted(text):
    one, name = json.dumps(text * body.VALUES_MAX), "x,[" * body.VALUES_MAX
    assert body.decode(f'[{one},{{"{name}":{one}}}]'.encode(), DEPTH)[0] == json.loads(one)


lists = st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=60)


@given(st.lists(lists, min_size=1, max_size=4), st.integers(1, 8), st.integers(0, 9))
def test_the_depth_limit_holds_for_wide_and_deep_lists(nests, depth, more):
    value = nests
    for _ in range(more):
        value = [value, *nests]
    is_deeper = nesting(value) > depth
    text = json.dumps(value).encode()
    if is_deeper:
        with pytest.raises(BadValue):
            body.decode(text, depth)
    else:
        assert body.decode(text, depth) == value


def test_a_megabyte_of_small_values_is_refused():
    """A request body of deep, many or tiny values is refused before any object is built."""
    for text in ("[" * 60 + "]" * 60, "[]", "{}", '""', "0", '{"":0}', '[""]'):
        data = f'{{"payload":[{",".join([text] * ((1 << 20) // (len(text) + 1)))}]}}'.encode()
        with pytest.raises(BadValue):
            body.decode(data, 64)


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\u0123eE+-.ntrfalse \n', max_size=40).map(str.encode)
)
@example(b'{"a":1}{')
@example(b' {"a":1} ')
@example(b'{"a":1}\xc2\xa0')
def test_any_bytes_decode_as_the_json_module_does_or_are_refused(data):
    try:
        wanted = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        with pytest.raises(BadValue) as caught:
            body.decode(data, DEPTH)
        assert caught.value.reason is Reason.MALFORMED
        return
    if nesting(wanted) <= DEPTH and all_finite(wanted):
        assert same(body.decode(data, DEPTH), wanted)


def refuse(name: str) -> None:
    raise ValueError(name)


def all_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    return all(map(all_finite, children))


@pytest.mark.parametrize(
    "text", ["1e400", "-1e400", '{"a":[1e309]}', "NaN", "[Infinity]", '{"a":-Infinity}']
)
def test_numbers_that_are_not_finite_are_refused_by_the_decoder(text):
    """A later refusal is too late: the handler may have changed state by then."""
    with pytest.raises(BadValue) as caught:
        body.decode(text.encode(), DEPTH)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("text", ["1e308", "-1.7976931348623157e308", "1e-400", "5e-324", "0.1"])
def test_numbers_that_fit_a_double_are_accepted(text):
    assert body.decode(text.encode(), DEPTH) == float(text)


@pytest.mark.parametrize("unit", ['\\"', '"', '"\\\n', '["', "\\", '"a":', "]}"])
def test_the_depth_check_takes_linear_time(unit):
    """Each input is a megabyte. Linear time takes milliseconds; quadratic time takes hours."""
    data = ("[" * (DEPTH + 1) + '"' + unit * ((1 << 20) // len(unit))).encode()
    with pytest.raises(BadValue):
        body.decode(data, DEPTH)


@pytest.mark.parametrize("digits", [4300, 4301, 100000])
def test_an_integer_of_any_length_is_accepted_or_refused(digits):
    try:
        assert str(body.decode(b"9" * digits, 1)) == "9" * digits
    except BadValue as error:
        assert error.reason is Reason.MALFORMED and digits > 4300 and "sys." not in str(error), (
            "the text must not advise to call a function of `sys`"
        )


def test_only_an_object_or_an_empty_body_decodes_to_an_object():
    assert body.decode_object(b"", 4) == {}
    assert body.decode_object(b' {"a": null}\r\n', 4) == {"a": None}
    for data in (b"[]", b"null", b'"x"', b"1", b" ", b"\xef\xbb\xbf{}"):
        with pytest.raises(BadValue) as caught:
            body.decode_object(data, 4)
        assert caught.value.reason is Reason.MALFORMED


fields = st.dictionaries(
    st.just("x"), st.none() | values | st.integers(-5, 5) | st.floats(), max_size=1
)


@given(fields)
def test_fields_have_their_type_or_are_refused(given_fields):
    """Each `take_` returns a value of its type, or the default for an absent or null field.

    Any other value raises a 400 that names the field.
    """
    value = given_fields.get("x")
    takes = {
        body.take_object: (({},), lambda v: isinstance(v, dict), {}),
        body.take_text: (("d", 256), lambda v: isinstance(v, str) and len(v) <= 256, "d"),
        body.take_flag: ((True,), lambda v: isinstance(v, bool), True),
        body.take_int: (
            (7, -3, 3),
            lambda v: (
                not isinstance(v, bool)
                and isinstance(v, (int, float))
                and v == v
                and v in range(-3, 4)
            ),
            7,
        ),
    }
    for take, (arguments, fits, default) in takes.items():
        arguments = () if take is body.take_object else arguments
        if value is None:
            assert take(given_fields, "x", *arguments) == default
        elif fits(value):
            assert take(given_fields, "x", *arguments) == value
        else:
            with pytest.raises(BadValue) as caught:
                take(given_fields, "x", *arguments)
            assert caught.value.reason is Reason.MALFORMED and caught.value.detail.startswith("x ")


@given(values, values)
def test_canonical_texts_are_equal_if_and_only_if_the_bodies_are(left, right):
    assert (body.canonical(left) == body.canonical(right)) == same(left, right)
    shuffled = dict(reversed(list(left.items()))) if isinstance(left, dict) else left
    assert body.canonical(shuffled) == body.canonical(left)
