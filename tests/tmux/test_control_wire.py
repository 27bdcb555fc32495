"""Laws of the control mode parser, and of command lines: one argv is one line.

The parser gives the same values for any slicing, raises one error for any bytes, and bounds its
memory.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ControlBroken
from bridge.tmux.control_mode.wire import Block, ControlParser, Notification, Output, control_line

# Lines of a block are text of a pane, which may look like control mode.
LINE = st.one_of(
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "",
            "%end 1 2 4",
            "%end 1 2",
            "%error",
            "%begin 1 2 3",
            "%exit",
            "%output %1 x",
            "%end 1 2 3 ",
        ]
    ),
)


@st.composite
def blocks(draw):
    lines = tuple(line for line in draw(st.lists(LINE, max_size=5)))
    is_error = draw(st.booleans())
    guard = f"{draw(st.integers(0, 2**40))} {draw(st.integers(0, 9999))} {draw(st.integers(0, 1))}"
    if f"%end {guard}" in lines or f"%error {guard}" in lines:
        lines = ()
    text = "".join(
        part + "\n"
        for part in [f"%begin {guard}", *lines, f"%{'error' if is_error else 'end'} {guard}"]
    )
    return text.encode(), Block(lines, is_error)


@st.composite
def outputs(draw):
    data, pane_id = draw(st.binary(max_size=12)), f"%{draw(st.integers(0, 99))}"
    escaped = b"".join(
        b"\\%03o" % byte if byte < 32 or byte == 92 else bytes([byte]) for byte in data
    )
    head = draw(
        st.sampled_from(
            [
                b"%output " + pane_id.encode() + b" ",
                b"%extended-output " + pane_id.encode() + b" 17 : ",
            ]
        )
    )
    return head + escaped + b"\n", Output(pane_id, data)


NOTIFICATIONS = st.sampled_from(
    [
        (b"%session-renamed $0 dev lucy\n", Notification("session-renamed", "$0 dev lucy")),
        (b"%window-pane-changed @1 %2\n", Notification("window-pane-changed", "@1 %2")),
        (b"%sessions-changed\n", Notification("sessions-changed")),
        (b"%exit\n", Notification("exit")),
        (b"%exit lost tty\n", Notification("exit", "lost tty")),
        (b"%pause %3\n", Notification("pause", "%3")),
    ]
)
STREAM = st.lists(st.one_of(blocks(), outputs(), NOTIFICATIONS), max_size=8)


def parse(slices, held_max: int = 1 << 20):
    """Feed the slices to a parser; return (values, whether it raised)."""
    parser, said = ControlParser(held_max), []
    try:
        for piece in slices:
            said += parser.feed(piece)
        parser.feed(b"")
    except ControlBroken:
        return said, True
    return said, False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *[place % (len(data) + 1) for place in places]})
    return [data[start:end] for start, end in zip(edges, edges[1:])]


@given(STREAM, st.lists(st.integers(0, 10**4), max_size=10))
def test_slicing_never_changes_the_values(stream, places):
    data = b"".join(raw for raw, _ in stream)
    assert parse(cut(data, places)) == ([value for _, value in stream], False)


@given(STREAM)
def test_one_byte_at_a_time(stream):
    data = b"".join(raw for raw, _ in stream)
    assert parse([data[index : index + 1] for index in range(len(data))]) == (
        [value for _, value in stream],
        False,
    )


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"%begin 1 2 3\n", b"%end 1 2 3\n", b"%output %1 \\0", b"\n", b"%x\n"]
            ),
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_any_bytes_give_values_or_one_error_in_any_slices(pieces, places):
    data = b"".join(pieces)
    assert parse(cut(data, places)) == parse([data])


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40), st.sampled_from([b"%begin 1 2 3\n", b"\n\n\n\n", b"x" * 50])
        ),
        max_size=40,
    )
)
def test_memory_is_bounded(pieces):
    parser = ControlParser(held_max=200)
    try:
        for piece in pieces:
            parser.feed(piece)
            assert parser.held_bytes <= 2 * 200 + 64
    except ControlBroken:
        assert parser.held_bytes == 0


@pytest.mark.parametrize(
    "data",
    [b"hello\n", b"\n", b"%\n", b"%Begin 1 2 3\n", b"x" * 300, b"%begin 1 2 3\n" + b"\n" * 10],
)
def test_bytes_that_are_not_control_mode_raise_now_and_on_every_later_call(data):
    parser = ControlParser(held_max=200)
    for _ in range(3):
        with pytest.raises(ControlBroken):
            parser.feed(data)


def test_values_before_an_error_are_not_lost():
    parser = ControlParser()
    assert parser.feed(b"%exit\nnonsense\n") == [Notification("exit")]
    with pytest.raises(ControlBroken, match="nonsense"):
        parser.feed(b"")


WORD = st.text(st.sampled_from("ab ;'\"\\#{}$~%*\n\r\x1b\x00日ü\u2028"), max_size=8)


@given(st.lists(WORD, min_size=1, max_size=5))
def test_a_command_is_one_line_or_none(argv):
    line = control_line(argv)
    if line is not None:
        assert line.isprintable() and not set(line) & set("\n\r\x1b\x00\x85\u2028")
        assert unquote(line) == argv
    else:
        assert any(not word.isprintable() or (word.endswith(";") and word != ";") for word in argv)


def unquote(line: str) -> list[str]:
    """Split as tmux does: '...' is literal, \\' outside quotes is a quote, blanks end words."""
    words, word, index = [], None, 0
    while index < len(line):
        char = line[index]
        if char == "'":
            end = line.index("'", index + 1)
            word, index = (word or "") + line[index + 1 : end], end
        elif char == "\\":
            word, index = (word or "") + line[index + 1], index + 1
        elif char == " ":
            words, word = [*words, word], None
        else:
            word = (word or "") + char
        index += 1
    return [*words, word]
