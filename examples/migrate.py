#!/usr/bin/env python3
"""From the polling deployment's broker to bridge's, and back (MIGRATION.md). OLD and NEW are URLs; needs nothing of bridge's.

    migrate.py agents OLD NEW    register at NEW every agent that OLD knows
    migrate.py left OLD          print each agent's number of pending tickets; exit status 0 when none is left, else 1
    migrate.py forward NEW       send one ticket, JSON on stdin, to NEW; for `watch AGENT --broker-url OLD --exec`

The tickets of an agent whose poller is not running, from OLD to NEW (AGENT's poller at OLD must be off meanwhile):

    python3 -m bridge watch AGENT --broker-url OLD --exec 'python3 examples/migrate.py forward NEW'
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 30  # seconds for one answer
DIRECT = urllib.request.build_opener(
    urllib.request.ProxyHandler({})
)  # brokers are near; a web proxy of the environment's is not on the way


def ask(broker, method, path, body=None):
    """The answer's JSON, None when it has none; None too for a page that this broker does not have."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        broker.rstrip("/") + path, data, {"Content-Type": "application/json"}, method=method
    )
    try:
        with DIRECT.open(request, timeout=PATIENCE) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            said = error.read()[:500].decode("utf-8", "replace")
        if method == "GET" and error.code == 404:
            return None
        sys.exit(f"migrate: {broker} answered {error.code} to {method} {path}: {said}")
    except OSError as error:
        sys.exit(f"migrate: {broker} cannot be reached: {error}")


def pending_of(broker):
    """{agent: number of pending tickets}. Our broker also knows backlogs of agents that nobody registered."""
    overview = ask(broker, "GET", "/overview?limit=10000")
    if overview is not None:
        return {agent["agentId"]: agent["pending"] for agent in overview["agents"]}
    names = [agent["agentId"] for agent in ask(broker, "GET", "/agents") or []]
    return {
        name: len(
            ask(broker, "GET", f"/agents/{urllib.parse.quote(name, safe='')}/tickets/pending") or []
        )
        for name in names
    }


def copy_agents(old, new):
    for agent in ask(old, "GET", "/agents") or []:
        ask(
            new,
            "POST",
            "/agents/register",
            {key: agent[key] for key in ("agentId", "type", "metadata") if agent.get(key)},
        )
        print(agent["agentId"])


def forward(ticket, new):
    """As it was sent. The ticketId makes a second try the same ticket, at our broker; the old one makes ids of its own."""
    body = {
        key: ticket[key]
        for key in ("ticketId", "payload", "metadata", "expectReply", "timeoutMs")
        if ticket.get(key) is not None
    }
    ask(new, "POST", f"/agents/{urllib.parse.quote(ticket['agentId'], safe='')}/send", body)


def main(words):
    if words[:1] == ["agents"] and len(words) == 3:
        copy_agents(words[1], words[2])
        return 0
    if words[:1] == ["left"] and len(words) == 2:
        left = {name: count for name, count in pending_of(words[1]).items() if count}
        for name, count in sorted(left.items()):
            print(f"{count}\t{name}")
        return 1 if left else 0
    if words[:1] == ["forward"] and len(words) == 2:
        forward(json.load(sys.stdin), words[1])
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
