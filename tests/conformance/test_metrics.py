"""GET /metrics, read by a strict Prometheus parser.

Also with hostile names and while counters change.
"""

from __future__ import annotations

import ast
import re
import resource
from urllib.parse import quote

from prometheus import check_monotone, read, series
from running import ROOT, new_name, wait_until

TEXT = "text/plain; version=0.0.4; charset=utf-8"
# The push design requires these names.
DESIGN = [
    "bridge_sse_connections_active",
    "bridge_sse_reconnects_total",
    "bridge_message_delivery_latency_seconds_bucket",
    "bridge_messages_sent_total",
    "bridge_messages_queued_current",
    "bridge_tmux_session_failures_total",
    "bridge_tmux_injection_errors_total",
    "bridge_watcher_cpu_percent",
    "bridge_watcher_memory_bytes",
]
HOSTILE = [
    'quote"} 1',
    "back\\slash",
    "back\\nslash",
    'a{b="c"}',
    "line\u2028separator",
    "émoji 🎉",
    "# TYPE x counter",
    "other",
    "le",
    "a b",
]


def scrape(broker):
    # Prometheus sends this, and prefers another format.
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    answer = broker.ask("GET", "/metrics", fields=[("Accept", accept)])
    assert answer.status == 200 and answer.field("content-type") == TEXT
    return read(answer.body.decode("utf-8"))


def value(families, name, **labels):
    return series(families)[name, tuple(sorted(labels.items()))]


def report(broker, agent, **fields):
    assert broker.ask("POST", f"/agents/{quote(agent, safe='')}/heartbeat", fields).status == 200


def test_hostile_names_stay_labels(start):
    broker = start()
    for number, agent in enumerate(HOSTILE):
        broker.register(agent)
        report(
            broker,
            agent,
            tier='x"y\\',
            session="s\n",
            memoryBytes=number,
            cpuPercent=1.5,
            queued=1,
            reconnects=number,
            sessionFailures=True,
            injectionErrors=10**30,
        )
    found = scrape(broker)
    shown = {
        dict(labels)["agent"]: count
        for (_, labels), count in found["bridge_watcher_memory_bytes"].samples.items()
    }
    assert shown == {agent: number for number, agent in enumerate(HOSTILE)}
    assert sum(found["bridge_tmux_session_failures_total"].samples.values()) == 0, (
        "True is not a number"
    )
    assert sum(found["bridge_tmux_injection_errors_total"].samples.values()) == 0, (
        "10**30 is above the bound of a counter"
    )


def test_a_fresh_broker_has_every_name(start):
    broker = start()
    names = {name for name, _ in series(scrape(broker))}
    assert set(DESIGN) <= names


def test_counters_increase_by_what_happened(start):
    broker = start(BRIDGE_QUEUE_MAX=3)
    before = scrape(broker)
    with broker.agent_stream("lucy") as stream:
        tickets = [broker.send("lucy", number) for number in range(3)]
        stream.read_events(3)
        assert broker.ask("POST", "/agents/lucy/send", {"payload": 4}).status == 429
        middle = scrape(broker)
        assert (
            value(middle, "bridge_sse_connections_active") == 1
            and value(middle, "bridge_agents_connected", tier="sse") == 1
        )
    broker.acknowledge(
        tickets[0], {"watcher": "w", "evidence": {"submittedAt": "2001-01-01T00:00:00.000Z"}}
    )
    broker.ask("POST", "/replies", {"ticketId": tickets[1], "payload": "ok"})
    assert broker.ask("GET", "/nothing").status == 404
    wait_until(
        lambda: value(scrape(broker), "bridge_sse_connections_active") == 0,
        "the end of the stream",
    )
    after = scrape(broker)
    check_monotone(before, middle), check_monotone(middle, after)
    gained = {key: count - series(before).get(key, 0) for key, count in series(after).items()}
    assert (
        gained["bridge_messages_sent_total", ()] == 3
        and gained["bridge_messages_acknowledged_total", ()] == 1
        and gained["bridge_replies_total", ()] == 1
    )
    assert gained["bridge_message_delivery_latency_seconds_count", ()] == 1
    hops = {
        dict(labels)["hop"]: count
        for (name, labels), count in gained.items()
        if name == "bridge_hop_latency_seconds_count"
    }
    assert hops == {"streamed": 3, "injected": 1, "acknowledged": 1}
    refusals = {
        dict(labels)["reason"]: count
        for (name, labels), count in gained.items()
        if name == "bridge_refusals_total" and count
    }
    assert refusals == {"queue_full": 1, "not_found": 1}
    assert (
        gained["bridge_http_responses_total", (("code", "429"),)] == 1
        and gained["bridge_sse_connections_total", ()] == 1
    )
    assert (
        value(after, "bridge_messages_queued_current") == 1
        and value(after, "bridge_messages_queued_bytes") > 100
    )
    assert 0 < value(after, "bridge_oldest_pending_age_seconds") < 60
    rows, commits = gained["bridge_commit_rows_total", ()], gained["bridge_commits_total", ()]
    assert (
        rows == 5 == gained["bridge_commit_batch_size_sum", ()]
        and commits == 5 == gained["bridge_commit_duration_seconds_count", ()]
    )
    assert gained["bridge_commit_seconds_total", ()] > 0


def test_a_few_agents_have_a_series_and_the_others_share_one(start):
    broker = start(BRIDGE_METRICS_AGENTS=2)
    for number, agent in enumerate(["ann", "bob", "cyd", "dan"], 1):
        broker.register(agent)
        report(broker, agent, reconnects=number, queued=number)
    before = scrape(broker)
    shown = {
        dict(labels)["agent"]: count
        for (_, labels), count in before["bridge_sse_reconnects_total"].samples.items()
    }
    assert shown == {"ann": 1, "bob": 2, "other": 7}
    assert {
        dict(labels)["agent"]: count
        for (_, labels), count in before["bridge_watcher_queued"].samples.items()
    } == shown
    broker.ask("DELETE", "/agents/dan"), broker.ask("DELETE", "/agents/ann")
    report(broker, "cyd", reconnects=0, queued=5), report(broker, "bob", reconnects=3)
    after = scrape(broker)
    check_monotone(before, after)
    assert {
        dict(labels)["agent"]: count
        for (_, labels), count in after["bridge_sse_reconnects_total"].samples.items()
    }["bob"] == 3
    assert value(after, "bridge_watcher_queued", agent="other") <= 5, (
        "an agent that is no longer registered does not count"
    )


def test_a_full_disk_is_counted(start, tmp_path):
    """A limit of the file size (setrlimit(2)) makes sends fail with 503. The counter shows it."""
    broker = start(limits={resource.RLIMIT_FSIZE: 256 * 1024})
    answers = [
        broker.ask("POST", f"/agents/{new_name()}/send", {"payload": "x" * 50_000}).status
        for _ in range(8)
    ]
    assert 503 in answers
    found = scrape(broker)
    assert value(found, "bridge_commit_failures_total") >= 1 and value(
        found, "bridge_refusals_total", reason="store"
    ) == answers.count(503)
    assert value(found, "bridge_messages_sent_total") == answers.count(202)


def test_every_reason_of_a_refusal_is_known(broker):
    """Each reason in the source is a label value that a scrape shows from the start."""
    shown = {
        dict(labels)["reason"] for _, labels in scrape(broker)["bridge_refusals_total"].samples
    }
    tree = ast.parse((ROOT / "bridge" / "errors.py").read_text(encoding="utf-8"))
    (reasons,) = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Reason"
    ]
    given = {node.value.value for node in reasons.body if isinstance(node, ast.Assign)}
    assert "rate_limit" in given and given <= shown


def test_the_alert_rules_name_existing_metrics(broker):
    """A broker shows each metric and each label value that the example alert rules name.

    The example configuration loads these rules.
    """
    agent = new_name()
    broker.register(agent)
    found = series(scrape(broker))
    rules = (ROOT / "examples" / "bridge-alerts.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:bridge|process)_[a-z_]+\b", rules))
    assert len(named) > 10 and named <= {name for name, _ in found}
    for label, wanted in re.findall(
        r'(\w+)=~?"([^"]+)"', "\n".join(re.findall(r"expr: (.*)", rules))
    ):
        known = {dict(labels).get(label) for _, labels in found} | (
            {"bridge"} if label == "job" else set()
        )
        assert set(wanted.split("|")) <= known, f"{label}={wanted}"
    assert (
        len(re.findall(r"alert: ", rules))
        == len(re.findall(r"expr: ", rules))
        == len(set(re.findall(r"alert: (\w+)", rules)))
    )
    config = (ROOT / "examples" / "prometheus.yml").read_text(encoding="utf-8")
    assert (
        "bridge-alerts.yml" in config
        and "127.0.0.1:5050" in config
        and "job_name: bridge" in config
    )
