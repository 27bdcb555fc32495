"""A stub of four model APIs on 127.0.0.1, which records every message of the user.

    agent ──► POST …/v1/messages | …/responses | …/chat/completions | …:streamGenerateContent
                 │ stub_… reads the user's words, and answers in the same protocol
                 └► Arrival(began, texts)

The last message of a conversation decides the answer:

    STUB-SLOW-8      a text, streamed over 8 seconds
    STUB-TOOL[cmd]   a call of the agent's shell tool; its result gets a text
    STUB-FILE        a text that names a file of the project (aider asks whether to add it)
    SUGGESTION MODE  a suggested next message, which the agent shows in its empty composer
    anything else    a short text, at once
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stub_anthropic import ANTHROPIC
from stub_gemini import GEMINI
from stub_openai import CHAT, RESPONSES
from stub_talk import Answer, Api, Said, shell_call

SENTENCE = "The stub answers slowly, one word after another, so that the agent is busy. "
SUGGESTION = "run the tests"
WORD_SECONDS = 0.25  # seconds between two words of a slow answer
APIS = (ANTHROPIC, RESPONSES, CHAT, GEMINI)
MODELS = ("stub-model", "gpt-5-codex", "claude-sonnet-4-5", "gemini-2.5-pro")


@dataclass
class Arrival:
    """One request of the conversation: its begin, its end, and all words of the user in it."""

    began: float
    texts: list[str]
    ended: float = 0.0


@dataclass
class Stub:
    """One agent's model. `with Stub() as stub: stub.url`."""

    arrivals: list[Arrival] = field(default_factory=list)
    open: int = 0  # answers in progress

    def __enter__(self) -> Stub:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def texts(self) -> list[str]:
        """Return the user's words of all requests, in the order of their arrival.

        Each request repeats the conversation. An agent that joins waiting messages to one text
        sends requests with the same number of texts, so no single request is the longest.
        """
        with self._lock:
            return [text for each in self.arrivals for text in each.texts]

    def count(self, word: str) -> int:
        """Return the largest count of a word in one request: a message sent twice counts two."""
        with self._lock:
            counts = ["\n".join(each.texts).count(word) for each in self.arrivals]
        return max(counts, default=0)

    def first(self, word: str) -> Arrival | None:
        """Return the first request that contains this word."""
        with self._lock:
            return next((each for each in self.arrivals if word in "\n".join(each.texts)), None)

    def text_with(self, word: str) -> str:
        with self._lock:
            texts = [text for each in reversed(self.arrivals) for text in each.texts]
        return next((text for text in texts if word in text), "")

    def answer(self, handler: BaseHTTPRequestHandler, api: Api, body: dict) -> None:
        said = api.read(body)
        arrival = Arrival(time.monotonic(), said.texts)
        is_main = bool(said.tools) or api.name == "chat"  # agents ask for titles without tools
        with self._lock:
            self.open += 1
            if is_main:
                self.arrivals.append(arrival)
        try:
            streams = body.get("stream") or ":streamGenerateContent" in handler.path
            answer = _answer(said) if is_main else Answer(['{"title": "stub"}'])
            if streams:
                _stream(handler, api, answer, body)
            else:
                time.sleep(answer.gap * len(answer.words))
                _send(handler, 200, api.whole(answer, body))
        except OSError:
            pass  # the agent closed the connection: it was interrupted or killed
        finally:
            arrival.ended = time.monotonic()
            with self._lock:
                self.open -= 1


def _answer(said: Said) -> Answer:
    if said.is_result:
        return Answer(["stub", "ok"])
    if "SUGGESTION MODE" in said.last:
        return Answer(SUGGESTION.split())
    slow = re.search(r"STUB-SLOW-(\d+)", said.last)
    if slow:
        words = (SENTENCE * int(slow[1])).split()
        return Answer(words[: int(int(slow[1]) / WORD_SECONDS)], gap=WORD_SECONDS)
    call = re.search(r"STUB-TOOL\[([^\]]*)\]", said.last)
    if call and said.tools:
        return Answer(["I", "run", "it."], call=shell_call(said.tools, call[1]))
    if "STUB-FILE" in said.last:
        return Answer(["See", "touched.txt", "for", "it."])
    return Answer(["stub", "ok"])


def _stream(handler: BaseHTTPRequestHandler, api: Api, answer: Answer, body: dict) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    for event, data in api.stream(answer, body):
        head = f"event: {event}\n" if event else ""
        text = data if isinstance(data, str) else json.dumps(data)
        handler.wfile.write(f"{head}data: {text}\n\n".encode())
        handler.wfile.flush()


def _send(handler: BaseHTTPRequestHandler, status: int, value: object) -> None:
    data = json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def _body(handler: BaseHTTPRequestHandler) -> dict:
    """Return the request's JSON object, {} if it is none; the body may be chunked."""
    if (handler.headers.get("Transfer-Encoding") or "").lower() == "chunked":
        raw = b"".join(iter(lambda: _chunk(handler), b""))
    else:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _chunk(handler: BaseHTTPRequestHandler) -> bytes:
    size = int(handler.rfile.readline().split(b";")[0] or b"0", 16)
    data = handler.rfile.read(size)
    handler.rfile.readline()
    return data


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            rows = [{"id": name, "object": "model", "owned_by": "stub"} for name in MODELS]
            _send(self, 200, {"object": "list", "data": rows, "has_more": False, "models": []})

        def do_POST(self) -> None:
            path, body = self.path.split("?")[0], _body(self)
            api = next((each for each in APIS if path.endswith(each.ends)), None)
            if api is not None:
                stub.answer(self, api, body)
            elif path.lower().endswith(("count_tokens", ":counttokens")):
                _send(self, 200, {"input_tokens": 100, "totalTokens": 100})
            else:
                _send(self, 404, {"error": {"message": "not here", "type": "not_found"}})

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                pass  # a killed agent resets its connections

    return Handler
