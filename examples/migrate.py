#!/usr/bin/env python3
"""Move agents and tickets from the old polling broker to bridge's, or back (MIGRATION.md).

OLD and NEW are the URLs of the two brokers. This file needs only the standard library.

    migrate.py agents OLD NEW    register at NEW every agent that is registered at OLD
    migrate.py left OLD          print the number of pending tickets of each agent;
                                 exit status 0 when none is left, else 1
    migrate.py forward NEW       send one ticket, JSON on stdin, to NEW

This moves the tickets of AGENT from OLD to NEW. AGENT's poller must not run meanwhile:

    python3 -m bridge watch AGENT --broker-url OLD --exec 'python3 examples/migrate.py forward NEW'
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 30  # seconds for one response
# Without the web proxy of the environment: it does not lead to a broker.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(broker, method, path, body=None):
    """The response's JSON; None when it is empty, or when a GET finds nothing (404)."""
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
    """{agent: number of pending tickets}. bridge's broker includes agents without registration."""
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
    """Send the ticket with its own fields.

    At bridge's broker the ticketId is an idempotency key: a second try creates no second
    ticket. The old broker assigns ids itself.
    """
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
