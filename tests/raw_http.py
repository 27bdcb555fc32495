"""A small HTTP and event-stream client for tests. It works on bytes.

    Line           one connection: send bytes, read a response, or see that the peer has closed
    Answer         one response: status, fields in order, body
    EventStream    the blocks between blank lines (WHATWG HTML 9.2, as far as the broker uses it)

It shares no code with bridge, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field

PATIENCE = 20.0  # seconds; a single step that takes longer fails the test as a hang


@dataclass(frozen=True)
class Answer:
    status: int
    reason: str
    version: str
    fields: list[tuple[str, str]]
    body: bytes

    def field(self, name: str, default=None):
        """The value of a field, or `default`. No response of ours may repeat a field name."""
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} is repeated: {found}"
        return found[0] if found else default

    @property
    def json(self):
        assert (self.field("content-type") or "").split(";")[0].strip() in (
            "application/json",
            "application/problem+json",
        ), self
        return json.loads(self.body.decode("utf-8"))


class Closed(Exception):
    """The peer closed before the response was complete. Carries the bytes received so far."""


class Line:
    """One connection, driven by hand."""

    def __init__(
        self, port: int, host: str = "127.0.0.1", timeout: float = PATIENCE, receive_buffer: int = 0
    ) -> None:
        self.port = port
        self.held = b""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, path: str, body=None, fields=(), version: str = "1.1") -> None:
        """Send one request; `body` is bytes as they are, or any JSON value."""
        self.send(request_bytes(method, path, body, fields, version, self.port))

    def ask(self, method: str, path: str, body=None, fields=(), version: str = "1.1") -> Answer:
        self.request(method, path, body, fields, version)
        return self.read_answer(method)

    def receive(self) -> bool:
        """Receive what is available; False if the peer has closed or reset the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.held += data
        return bool(data)

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.held:
            if not self.receive():
                raise Closed(self.held)
        head, _, self.held = self.held.partition(mark)
        return head

    def read_exactly(self, count: int) -> bytes:
        while len(self.held) < count:
            if not self.receive():
                raise Closed(self.held)
        data, self.held = self.held[:count], self.held[count:]
        return data

    def read_head(self) -> Answer:
        head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = (head[0] + " ").split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, head[0]
        fields = []
        for text in head[1:]:
            name, colon, value = text.partition(":")
            assert (
                colon and name and name == name.strip() and "\n" not in value and "\r" not in value
            ), text
            fields.append((name, value.strip()))
        return Answer(int(status), reason.strip(), version, fields, b"")

    def read_answer(self, method: str = "GET") -> Answer:
        """The next final response with its body. Interim 1xx responses are skipped."""
        answer = self.read_head()
        while 100 <= answer.status < 200:
            answer = self.read_head()
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        if (answer.field("transfer-encoding") or "").lower() == "chunked":
            body = self.read_chunks()
        elif answer.field("content-length") is not None:
            body = self.read_exactly(int(answer.field("content-length")))
        else:
            body = self.read_to_end()
        return Answer(answer.status, answer.reason, answer.version, answer.fields, body)

    def read_chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                assert self.read_until(b"\r\n") == b""
                return body
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"

    def read_to_end(self) -> bytes:
        while self.receive():
            pass
        data, self.held = self.held, b""
        return data

    def is_closed(self) -> bool:
        """True if the peer closes without sending another byte, False if a byte arrives."""
        if self.held:
            return False
        return not self.receive()


def request_bytes(
    method: str, path: str, body=None, fields=(), version: str = "1.1", port: int = 0
) -> bytes:
    """One well-formed request. A Host in `fields` replaces the default one."""
    given = {name.lower() for name, _ in fields}
    lines = [f"{method} {path} HTTP/{version}"]
    if "host" not in given:
        lines.append(f"Host: 127.0.0.1:{port}")
    lines += [f"{name}: {value}" for name, value in fields]
    content = b""
    if body is not None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if "content-type" not in given:
            lines.append("Content-Type: application/json")
        if "content-length" not in given and "transfer-encoding" not in given:
            lines.append(f"Content-Length: {len(content)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content


@dataclass
class Block:
    """The lines between two blank lines of an event stream."""

    event: str = "message"
    id: str | None = None
    data: str | None = None
    retry: str | None = None
    comments: list[str] = field(default_factory=list)
    raw: str = ""

    @property
    def json(self):
        return json.loads(self.data)


class EventStream:
    """An open event stream. `head` is the head of the response."""

    def __init__(
        self,
        port: int,
        path: str,
        fields=(),
        version: str = "1.1",
        receive_buffer: int = 0,
        timeout: float = PATIENCE,
    ) -> None:
        self.line = Line(port, receive_buffer=receive_buffer, timeout=timeout)
        self.line.request(
            "GET", path, fields=[("Accept", "text/event-stream"), *fields], version=version
        )
        self.head = self.line.read_head()
        self.chunked = (self.head.field("transfer-encoding") or "").lower() == "chunked"
        self.text = b""
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self.line.close()

    def _more(self) -> bool:
        """Read one piece of the body; False at its end.

        A chunked body must end with the last-chunk (RFC 9112 section 7.1), not with a close.
        """
        if self.ended:
            return False
        if self.chunked:
            size = int(self.line.read_until(b"\r\n"), 16)
            if size == 0:
                assert self.line.read_until(b"\r\n") == b""
                self.ended = True
                return False
            self.text += self.line.read_exactly(size)
            assert self.line.read_exactly(2) == b"\r\n"
        else:
            if not self.line.held and not self.line.receive():
                self.ended = True
                return False
            self.text += self.line.held
            self.line.held = b""
        return True

    def read_block(self) -> Block | None:
        """The next block, or None if the stream has ended cleanly."""
        while b"\n\n" not in self.text:
            if not self._more():
                assert self.text == b"", (
                    f"the stream ended in the middle of an event: {self.text!r}"
                )
                return None
        raw, _, self.text = self.text.partition(b"\n\n")
        return read_fields(raw.decode("utf-8"))

    def read_event(self) -> Block | None:
        """The next block that carries data."""
        while True:
            block = self.read_block()
            if block is None or block.data is not None:
                return block

    def read_events(self, count: int) -> list[Block]:
        events = [self.read_event() for _ in range(count)]
        assert None not in events, "the stream ended early"
        return events

    def is_silent(self, seconds: float) -> bool:
        """True if no event arrives within `seconds`. Comments do not count.

        Only waiting can prove the absence of an event, so this is the one fixed wait here.
        """
        deadline = time.monotonic() + seconds
        before = self.line.socket.gettimeout()
        try:
            while True:
                self.line.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                if self.read_event() is not None:
                    return False
                raise AssertionError("the stream ended")
        except (socket.timeout, TimeoutError):
            return True
        finally:
            self.line.socket.settimeout(before)


def read_fields(raw: str) -> Block:
    block = Block(raw=raw)
    for line in raw.split("\n"):
        assert "\r" not in line, f"a CR in an event stream: {raw!r}"
        name, colon, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line.startswith(":"):
            block.comments.append(line[1:].strip())
        elif name == "data":
            block.data = value if block.data is None else block.data + "\n" + value
        elif name in ("event", "id", "retry"):
            setattr(block, name, value)
        else:
            raise AssertionError(f"an unknown field in an event stream: {line!r}")
    return block
