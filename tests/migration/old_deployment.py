"""The old polling deployment, as it was found in use.

    OldBroker     its own ticket ids; 500 for a send to an unregistered agent;
                  no waitMs on pending, no stream, no claim
    OldPoller     polls, injects, then acknowledges; never claims; retries an unreachable broker
    ToolServer    sends with its own ticketId, waits for the reply by waitMs,
                  reads 204 as "none yet"

Each speaks HTTP through the standard library and shares no code with bridge.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import urllib.error
import urllib.request
import uuid
from urllib.parse import urlsplit

POLL = 0.05  # seconds; the predecessor polls each 5 s, which is too slow for tests
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(url: str, method: str, path: str, body=None):
    """Make one request; return (status, JSON or None). For an error status, `error` of the body."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        url + path,
        data,
        {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "node"},
        method=method,
    )
    try:
        with DIRECT.open(request, timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text)["error"] if text else None


class OldBroker:
    """Listens on `port` during the block. `agents` and `tickets` outlive the block.

    It is not documented whether the real one keeps them after a stop.
    """

    def __init__(self, port: int) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.agents: dict[str, dict] = {}
        self.tickets: dict[str, dict] = {}
        self._lock = threading.Condition()

    def __enter__(self) -> OldBroker:
        broker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, content = broker.answer(self.command, urlsplit(self.path), body)
                text = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if text else "text/html")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, *_) -> None:
                """No test reads the log."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def pending(self, agent: str) -> list[dict]:
        return [
            dict(ticket)
            for ticket in list(self.tickets.values())
            if ticket["targetAgent"] == agent and ticket["status"] == "pending"
        ]

    def answer(self, method: str, target, body: dict):
        words = (method, *target.path.strip("/").split("/"))
        with self._lock:
            if words == ("POST", "agents", "register"):
                self.agents[body["agentId"]] = {"type": "claude", "metadata": {}, **body}
                return 200, self.agents[body["agentId"]]
            if words == ("GET", "agents"):
                return 200, list(self.agents.values())
            if words[:2] == ("POST", "agents") and words[3:] == ("send",):
                return self._send(words[2], body)
            if words[:2] == ("GET", "agents") and words[3:] == ("tickets", "pending"):
                return 200, self.pending(words[2])
            if words[:2] == ("POST", "tickets") and words[3:] == ("acknowledge",):
                self.tickets[words[2]]["status"] = "delivered"
                return 200, {"ticketId": words[2], "status": "delivered"}
            if words == ("POST", "replies"):
                self.tickets[body["ticketId"]].update(
                    status="responded", response={"payload": body["payload"]}
                )
                self._lock.notify_all()
                return 204, None
            if words[:2] == ("GET", "replies") and len(words) == 3:
                ticket = self.tickets[words[2]]
                self._lock.wait_for(lambda: ticket.get("response"), 0.2)
                return (200, ticket) if ticket.get("response") else (204, None)
        return 404, None

    def _send(self, agent: str, body: dict):
        if agent not in self.agents:
            return 500, None
        ticket_id, metadata = f"old-{uuid.uuid4()}", body.get("metadata", {})
        self.tickets[ticket_id] = {
            "ticketId": ticket_id,
            "targetAgent": agent,
            "originAgent": metadata.get("origin", "ui"),
            "payload": body["payload"],
            "metadata": metadata,
            "status": "pending",
        }
        return 202, {"ticketId": ticket_id, "status": "pending"}


class OldPoller:
    """The old watcher of one agent. `injected` lists the payloads that its pane got, in order."""

    def __init__(self, url: str, agent: str) -> None:
        self._url, self._agent = url, agent
        self.injected: list = []
        self.polls = self.failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> OldPoller:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            try:
                _, tickets = call(self._url, "GET", f"/agents/{self._agent}/tickets/pending")
                for ticket in tickets or []:
                    self.injected.append(ticket["payload"])
                    call(self._url, "POST", f"/tickets/{ticket['ticketId']}/acknowledge")
            except OSError:
                self.failures += 1
            self.polls += 1


class ToolServer:
    """The tool server of an agent.

    `send` returns the ticket id to ask for the reply, or None if the broker did not accept.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, agent: str, payload) -> str | None:
        body = {
            "ticketId": str(uuid.uuid4()),
            "payload": payload,
            "metadata": {"origin": "tools"},
            "expectReply": True,
            "timeoutMs": 30000,
        }
        with contextlib.suppress(OSError):
            status, accepted = call(self._url, "POST", f"/agents/{agent}/send", body)
            return accepted["ticketId"] if status == 202 else None
        return None

    def reply_to(self, ticket_id: str, tries: int = 50):
        for _ in range(tries):
            status, ticket = call(self._url, "GET", f"/replies/{ticket_id}?waitMs=200")
            if status == 200:
                return ticket["response"]["payload"]
            assert status == 204, "204 means that there is no reply yet"
        return None
