#!/usr/bin/env python3
"""Send a ticket and wait for its reply, with only the standard library.

    python3 examples/send_and_wait.py lucy "are the tests green?"

Any language with an HTTP client can do the same: one POST, then GETs. BRIDGE_BROKER_URL is
the broker's URL (default: http://127.0.0.1:5050).
"""

import json
import os
import sys
import urllib.parse
import urllib.request
import uuid

BROKER = os.environ.get("BRIDGE_BROKER_URL", "http://127.0.0.1:5050").rstrip("/")


def ask(method, path, body=None, timeout=30):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        BROKER + path, data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def main(agent, text):
    # Our own id is an idempotency key: the same id and body again create no second ticket.
    ticket_id = "example-" + uuid.uuid4().hex
    ask(
        "POST",
        "/agents/" + urllib.parse.quote(agent, safe="") + "/send",
        {"ticketId": ticket_id, "payload": text, "metadata": {"origin": "example"}},
    )
    print("sent", ticket_id, file=sys.stderr)
    while True:
        ticket = ask("GET", "/replies/" + ticket_id + "?waitMs=25000")
        if ticket is not None:  # 204 has no body: there is no reply yet
            print(ticket["response"]["payload"])
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
