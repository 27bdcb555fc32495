"""Encoders of requests and responses refuse text that could inject a field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.response import encode_chunk, encode_request, encode_response_head
from wire.test_request_laws import VALUE_TEXT

BREAKING = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\x01",
    "\x7f",
    "a\r\nSet-Cookie: b",
    "a\nb",
    "\u0100",
    "\ud800",
]


@pytest.mark.parametrize("text", BREAKING)
def test_encoders_refuse_text_that_could_inject_a_field(text):
    for fields in (
        {"X": text},
        {text: "x"},
        {"X": "a" + text + "b"},
        {"A": "b", "X" + text: "y", "C": "d"},
    ):
        with pytest.raises(ValueError):
            encode_response_head(200, fields)
        with pytest.raises(ValueError):
            encode_request("GET", "/", "a", fields, None)
    for line in ((text, "/", "a"), ("GET", "/" + text, "a"), ("GET", "/", "a" + text)):
        with pytest.raises(ValueError):
            encode_request(*line, {}, None)


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "é", "(x)"])
def test_encoders_refuse_field_names_that_are_no_token(name):
    with pytest.raises(ValueError):
        encode_response_head(200, {name: "x"})


@pytest.mark.parametrize(
    "fields", [{"Host": "b"}, {"content-length": "1"}, {"TRANSFER-ENCODING": "chunked"}]
)
def test_the_request_encoder_refuses_given_host_and_framing_fields(fields):
    with pytest.raises(ValueError):
        encode_request("POST", "/", "a", fields, b"")


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError):
        encode_response_head(299, {})


@given(st.dictionaries(st.text(max_size=8), VALUE_TEXT | st.text(max_size=12), max_size=3))
def test_an_encoded_head_has_one_line_for_each_field(fields):
    try:
        head = encode_response_head(200, fields)
    except ValueError:
        return
    assert (
        len(head.split(b"\r\n")) == len(fields) + 3
        and head.count(b"\r") == head.count(b"\n") == len(fields) + 2
    )


def test_no_chunk_is_written_for_empty_data():
    # A chunk of size 0 would end the body (RFC 9112 section 7.1).
    assert encode_chunk(b"") == b""
