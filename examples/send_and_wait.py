#!/usr/bin/env python3
"""Send a ticket and wait for its reply, with nothing but the standard library.

    python3 examples/send_and_wait.py lucy "are the tests green?"

Any language that speaks HTTP does the same: one POST, one GET. The broker is
found at BRIDGE_BROKER_URL (http://127.0.0.1:5050).
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
    # An id of our own makes the send safe to repeat: same id and body, one ticket.
    ticket_id = "example-" + uuid.uuid4().hex
    ask(
        "POST",
        "/agents/" + urllib.parse.quote(agent, safe="") + "/send",
        {"ticketId": ticket_id, "payload": text, "metadata": {"origin": "example"}},
    )
    print("sent", ticket_id, file=sys.stderr)
    while True:
        ticket = ask("GET", "/replies/" + ticket_id + "?waitMs=25000")
        if ticket is not None:  # 204: none yet
            print(ticket["response"]["payload"])
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
