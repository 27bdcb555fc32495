"""Event streams against a model: the standard's algorithm, applied slowly to the whole text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import StreamError
from bridge.wire.sse import (
    HEARTBEAT,
    Event,
    EventStreamDecoder,
    encode_comment,
    encode_event,
    encode_retry,
)
from wire.slicing import cut, places, singly

RETRY_CAP = 10**15  # ms; the decoder's bound, because the standard sets none


def model(stream: bytes) -> tuple[list[Event], str, object]:
    """The algorithm of WHATWG HTML 9.2.5 and 9.2.6, step by step."""
    text = stream.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    lines = re.split("\r\n|\r|\n", text)[:-1]  # an incomplete last line is dropped
    events, data, event_type, id_buffer, last_id, retry = [], "", "", "", "", None
    for line in lines:
        if line == "":
            last_id = id_buffer
            if data != "":
                events.append(Event(event_type or "message", data[:-1], last_id))
            data = event_type = ""
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = min(int(value), RETRY_CAP)
    return events, last_id, retry


def decode(slices, limit: int = 16 << 20) -> tuple[list[Event], str, object]:
    decoder, events = EventStreamDecoder(limit), []
    for piece in slices:
        events += decoder.feed(piece)
    return events, decoder.last_event_id, decoder.retry_ms


def agreed(stream: bytes) -> tuple[list[Event], str, object]:
    expected = model(stream)
    assert decode([stream]) == expected and decode(singly(stream)) == expected
    return expected


def message(data: str, last_event_id: str = "", event: str = "message") -> Event:
    return Event(event, data, last_event_id)


@pytest.mark.parametrize(
    "stream, events",
    [
        (b"", []),
        (b"data: a\n\n", [message("a")]),
        (b"data:a\n\n", [message("a")]),
        (b"data:  a\n\n", [message(" a")]),
        (b"data\n\n", [message("")]),
        (b"data\ndata\n\n", [message("\n")]),
        (b"data: a\ndata: b\n\n", [message("a\nb")]),
        (b"data: a\r\n\r\n", [message("a")]),
        (b"data: a\r\r", [message("a")]),
        (b"data: a\r\n\rdata: b\n\r\n", [message("a"), message("b")]),
        (b"data: a\n", []),  # an incomplete event is dropped
        (b"data: a", []),
        (b"id: 1\ndata: a\n\nid: 2\ndata: b\n", [message("a", "1")]),
        (b"data: a\n\ndata: b", [message("a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),  # only one BOM is stripped
        (b"data: \xef\xbb\xbfa\n\n", [message("\ufeffa")]),
        (b"\n\xef\xbb\xbfdata: a\n\n", []),
        (b":comment\n: comment\n:\ndata: a\n\n", [message("a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [message("a", event="x"), message("b")]),
        (b"event: x\n\ndata: b\n\n", [message("b")]),  # an event without data resets the type
        (b"event: x\nevent\ndata: a\n\n", [message("a")]),
        (b"id: 1\n\ndata: a\n\n", [message("a", "1")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b", "")]),
        (b"id: 1\nid: 2\0\ndata: a\n\n", [message("a", "1")]),  # an id with NUL is ignored
        (b"data: \0\n\n", [message("\0")]),
        (b"Data: a\nDATA: b\n data: c\ndata : d\nunknown: e\n\n", []),
        (b"data: \xc3\xa9\xf0\x9f\x98\x80\n\n", [message("é😀")]),
        (b"data: \xff\xc3\n\n", [message("\ufffd\ufffd")]),
        (b"data: \xe2\x82\n\n", [message("\ufffd")]),
        (b"data: \xf0\x9f\x98a\xed\xa0\x80\n\n", [message("\ufffda\ufffd\ufffd\ufffd")]),
        # str.splitlines would split at each of these characters.
        (
            "data: a\u2028b\x0bc\x0cd\x85\x1c\n\n".encode(),
            [message("a\u2028b\x0bc\x0cd\x85\x1c")],
        ),
    ],
)
def test_streams(stream, events):
    assert agreed(stream)[0] == events


@pytest.mark.parametrize(
    "line, ms",
    [
        (b"retry: 1000", 1000),
        (b"retry:0", 0),
        (b"retry: 007", 7),
        (b"retry", None),
        (b"retry: ", None),
        (b"retry: -1", None),
        (b"retry: +1", None),
        (b"retry: 1.5", None),
        (b"retry: 1s", None),
        (b"retry:  1", None),
        (b"retry: \xc2\xb2", None),
        ("retry: \u0663".encode(), None),  # a digit, but not an ASCII one
        (b"retry: " + b"9" * 15, RETRY_CAP - 1),
        (b"retry: 1" + b"0" * 15, RETRY_CAP),
        (b"retry: " + b"9" * 5000, RETRY_CAP),
        (b"retry: " + b"0" * 5000 + b"5", 5),
    ],
)
def test_retry(line, ms):
    stream = line + b"\n"
    for slices in ([stream], singly(stream)):
        assert decode(slices)[2] == ms


def test_the_id_of_an_incomplete_event_does_not_become_the_cursor():
    assert agreed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")[1] == "1"
    assert agreed(b"id: 2\n\n")[1] == "2"  # complete, although it has no data


def test_an_event_is_returned_at_its_last_line_end_not_one_byte_later():
    for end in (b"\n", b"\r", b"\r\n"):
        decoder = EventStreamDecoder()
        assert decoder.feed(b"data: a" + end) == []
        assert decoder.feed(end[:1]) == [message("a")]
        assert decoder.feed(end[1:] + b"data: b" + end + end) == [message("b")]


def test_every_single_cut_of_a_stream():
    """Exhaustive, because random cuts may miss one: for example between a CR and its LF."""
    stream = (
        b"\xef\xbb\xbfid: 1\r\ndata: a\r\ndata: \xf0\x9f\x98\x80\r\n\r\n"
        b": c\rretry: 5\r\revent: e\ndata\n\ndata: lost\r\n"
    )
    expected = agreed(stream)
    assert len(expected[0]) == 2
    for place in range(len(stream) + 1):
        assert decode([stream[:place], stream[place:]]) == expected, place


LINES = st.sampled_from(
    [
        b"data: a",
        b"data",
        b"data:",
        b"data:  \xc3",
        b"\xa9",
        b"event: e",
        b"event",
        b"id: 1",
        b"id",
        b"id: \0",
        b"retry: 5",
        b": c",
        b"\xef\xbb\xbf",
        b"x: y",
        b"\xf0\x9f",
        b"",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b"", b"\n\n", b"\r\r\n\n"])
STREAMS = st.lists(st.tuples(LINES | st.binary(max_size=5), ENDS), max_size=25).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)


@settings(max_examples=300)
@given(STREAMS, places)
def test_any_stream_in_any_slices_is_decoded_as_the_standard_requires(stream, at):
    expected = model(stream)
    assert decode([stream]) == expected
    assert decode(cut(stream, at)) == expected
    assert decode(singly(stream)) == expected


TEXT = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            "\r",
            "\n",
            "\0",
            ":",
            " ",
            "data: x",
            "id: 9",
            "event: e",
            "\ufeff",
            "é",
            "\u2028",
            "\n\n",
        ]
    ),
    max_size=12,
).map("".join)
LINE = TEXT.filter(lambda text: not re.search("[\r\n\0]", text))


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXT, LINE, LINE), max_size=5), places)
def test_no_text_can_inject_a_field_or_an_event(events, at):
    """Round trip: each encoded event gives exactly one event with the same data.

    Only line ends change: they become LF.
    """
    wire = b"".join(
        encode_event(data.encode(), name.encode(), id.encode()) + HEARTBEAT + encode_retry(7)
        for data, name, id in events
    )
    expected, last_id = [], ""
    for data, name, id in events:
        last_id = id or last_id
        expected.append(Event(name or "message", re.sub("\r\n|\r", "\n", data), last_id))
    assert decode(cut(wire, at))[0] == expected


@given(
    st.recursive(
        TEXT | st.none() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    )
)
def test_json_passes_unchanged(value):
    events, last_id, _ = decode([encode_event(json.dumps(value).encode(), b"ticket", b"42")])
    assert [json.loads(event.data) for event in events] == [value] and last_id == "42"


@given(TEXT)
def test_no_comment_can_inject_a_field(text):
    assert decode([encode_comment(text), encode_event(b"x")]) == ([message("x")], "", None)


def test_the_bytes_of_events_retry_and_heartbeat():
    assert encode_event(b"{}", b"ticket", b"42") == b"id: 42\nevent: ticket\ndata: {}\n\n"
    assert encode_event(b"{}", b"ticket") == b"event: ticket\ndata: {}\n\n"
    assert encode_event(b"{}", id=b"42") == b"id: 42\ndata: {}\n\n"
    assert encode_event(b"") == b"data: \n\n"
    assert encode_retry(0) == b"retry: 0\n\n"
    assert (
        encode_retry(1000) == b"retry: 1000\n\n"
        and HEARTBEAT == encode_comment("heartbeat") == b":heartbeat\n\n"
    )


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"a\nb", b"a\r\ndata: x", b"1\0"])
def test_names_and_ids_that_could_inject_a_field_are_refused(bad):
    for words in (
        {"event": bad},
        {"id": bad},
        {"event": b"ok", "id": bad},
        {"event": bad, "id": b"1"},
    ):
        with pytest.raises(ValueError):
            encode_event(b"x", **words)


def test_a_negative_retry_is_refused():
    with pytest.raises(ValueError):
        encode_retry(-1)


@pytest.mark.parametrize("slicer", [lambda stream: [stream], singly])
@pytest.mark.parametrize(
    "stream, fine",
    [
        (b"data: 7890\n\n", True),
        (b"data: 78901\n\n", False),
        (b"x" * 11, False),
        (b":" + b"x" * 10 + b"\n", False),
        # 4 + 7 bytes of data: each line is within the limit, but the event exceeds it.
        (b"data:123\ndata:567890\n", False),
        (b"data:123\ndata:5678\n\n", True),
        (b"data:123\n\n" * 50, True),
        (b"data\n" * 10 + b"\n", True),
        (b"data\n" * 11, False),
    ],
)
def test_limits(stream, fine, slicer):
    decoder = EventStreamDecoder(limit=10)
    try:
        for piece in [*slicer(stream), b""]:
            decoder.feed(piece)
        assert fine
    except StreamError:
        assert not fine
        for _ in range(2):
            with pytest.raises(StreamError):
                decoder.feed(b"data: a\n\n")


def test_events_before_an_error_are_returned_before_it_is_raised():
    """Otherwise the cursor would move past events that the caller never received."""
    decoder = EventStreamDecoder(limit=20)
    assert decoder.feed(b"id: 1\ndata: a\n\ndata: " + b"x" * 99) == [message("a", "1")]
    with pytest.raises(StreamError):
        decoder.feed(b"")


def test_held_bytes_counts_the_bytes_that_are_held():
    decoder, seen = EventStreamDecoder(), []
    for piece in [b"dat", b"a: 12", b"\n", b"event: e\nid: 7\nx", b"\n\n", b"\n"]:
        decoder.feed(piece)
        seen.append(decoder.held_bytes)
    assert seen == [3, 8, 3, 3 + 1 + 1 + 1, 1, 1]  # the id is kept after its event


@given(st.lists(STREAMS | st.binary(max_size=60), max_size=8))
def test_held_memory_is_bounded_and_all_errors_are_stream_errors(slices):
    decoder = EventStreamDecoder(limit=20)
    for piece in slices:
        try:
            decoder.feed(piece)
        except StreamError:
            pass
        assert decoder.held_bytes <= 4 * 20  # a line, the data, an event name, an id
