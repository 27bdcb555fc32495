"""Checks of the exact shape of each value in bridge/HTTP_API.md."""

from __future__ import annotations

import re

AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TICKET_KEYS = {
    "ticketId", "seq", "agentId", "targetAgent", "originAgent", "payload", "metadata", "status",
    "expectReply", "timeoutMs", "response", "createdAt", "updatedAt",
}  # fmt: skip
AGENT_KEYS = {"agentId", "type", "metadata", "status", "lastHeartbeat", "heartbeatIntervalMs"}
STATUSES = {"pending", "delivered", "responded", "expired", "dropped"}
STAGES = [
    "accepted",
    "streamed",
    "claimed",
    "injected",
    "acknowledged",
    "replied",
    "expired",
    "dropped",
]


def is_at(value) -> bool:
    return isinstance(value, str) and AT.fullmatch(value) is not None


def is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_ticket(ticket: dict, with_history: bool = False) -> None:
    keys = set(ticket)
    assert keys - {"latencyMs", "history"} == TICKET_KEYS, keys ^ TICKET_KEYS
    assert ("history" in keys) == with_history
    assert is_count(ticket["seq"]) and ticket["seq"] > 0
    assert ticket["agentId"] == ticket["targetAgent"]
    assert ticket["originAgent"] == ticket["metadata"].get("origin", "ui")
    assert ticket["status"] in STATUSES
    assert isinstance(ticket["expectReply"], bool) and is_count(ticket["timeoutMs"])
    assert is_at(ticket["createdAt"]) and is_at(ticket["updatedAt"])
    assert ("latencyMs" in keys) == (ticket["status"] == "responded"), (
        "latencyMs is there if and only if the ticket has a reply"
    )
    if "latencyMs" in keys:
        assert is_count(ticket["latencyMs"])
    if ticket["status"] == "responded":
        assert set(ticket["response"]) == {"payload", "metadata", "at"} and is_at(
            ticket["response"]["at"]
        )
    else:
        assert ticket["response"] is None
    for entry in ticket.get("history", []):
        assert set(entry) <= {"stage", "at", "by", "evidence"} and {"stage", "at"} <= set(entry)
        assert entry["stage"] in STAGES and is_at(entry["at"])
    if with_history:
        assert ticket["history"][0]["stage"] == "accepted"
        moments = [entry["at"] for entry in ticket["history"]]
        assert moments == sorted(moments)


def check_agent(agent: dict) -> None:
    assert set(agent) == AGENT_KEYS
    assert (
        isinstance(agent["agentId"], str)
        and isinstance(agent["type"], str)
        and isinstance(agent["metadata"], dict)
    )
    assert agent["status"] in ("online", "offline")
    assert is_count(agent["heartbeatIntervalMs"])


def check_problem(answer, status: int) -> dict:
    """Check a problem of RFC 9457 with `error`, which clients of the predecessor read."""
    assert answer.status == status, answer
    assert answer.field("content-type").split(";")[0] == "application/problem+json", answer
    problem = answer.json
    assert {"type", "title", "status", "detail", "error"} <= set(problem), problem
    assert problem["status"] == status
    assert problem["error"] == problem["detail"] and problem["detail"], problem
    assert "Traceback" not in problem["detail"] and 'File "' not in problem["detail"]
    if status in (429, 503):
        assert int(answer.field("retry-after")) >= 0
    if status == 405:
        assert answer.field("allow")
    if status == 401:
        assert answer.field("www-authenticate").startswith("Bearer")
    return problem
