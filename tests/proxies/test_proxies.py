"""The broker keeps its guarantees behind the proxies of examples/proxies."""

from __future__ import annotations

import json
import os
import re

import pytest
from cli.conftest import Program
from raw_http import PATIENCE, Line
from running import new_name, wait_until

from proxies.conftest import EXAMPLES, NAME, Proxied, running

# 60000, the largest value that the broker allows, was run once by hand. The last test checks that
# the timeouts in the configurations exceed it.
LONGPOLL_MS = int(os.environ.get("BRIDGE_TEST_LONGPOLL", "1500"))
BODY_MAX = 1 << 20
LONGEST_WAIT, STALE = 60, 75  # seconds: the longest waitMs, and 2.5 heartbeats


def payloads(lines) -> list:
    return [json.loads(line)["payload"] for line in lines]


def test_each_event_arrives_before_the_next_one_is_sent(proxied):
    agent = new_name()
    with proxied.agent_stream(agent) as stream:
        assert "heartbeat" in stream.read_block().comments, (
            "the first heartbeat, by which a watcher detects a proxy that buffers"
        )
        for number in range(5):
            proxied.broker.send(agent, number)
            assert stream.read_event().json["payload"] == number


def test_heartbeats_arrive(proxied):
    with proxied.agent_stream(new_name()) as stream:
        assert all("heartbeat" in stream.read_block().comments for _ in range(4))


def test_the_broker_detects_a_closed_stream(proxied):
    agent = new_name()
    proxied.broker.register(agent)
    with proxied.agent_stream(agent) as stream:
        stream.read_block()
        assert proxied.connection(agent) == "sse"
    wait_until(lambda: proxied.connection(agent) == "none", "the end of the stream")


def test_a_long_poll_is_not_cut_and_ends_with_the_ticket(proxied):
    agent = new_name()
    with Line(proxied.port, timeout=LONGPOLL_MS / 1000 + PATIENCE) as line:
        assert line.ask("GET", f"/agents/{agent}/tickets/pending?waitMs={LONGPOLL_MS}").json == []
    with Line(proxied.port) as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=60000")
        wait_until(
            lambda: proxied.broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"],
            "the waiting long-poll",
        )
        proxied.broker.send(agent, "soon")
        assert [ticket["payload"] for ticket in line.read_answer().json] == ["soon"]


def test_bodies_of_one_mebibyte_pass_and_the_broker_itself_refuses_larger_ones(proxied):
    agent = new_name()
    edge = b'{"payload":"%s"}' % (b"x" * (BODY_MAX - len('{"payload":""}')))
    assert proxied.ask("POST", f"/agents/{agent}/send", edge).status == 202
    refused = proxied.ask("POST", f"/agents/{agent}/send", edge + b" ")
    assert refused.status == 413 and str(BODY_MAX) in refused.json["error"], refused
    assert [
        len(ticket["payload"])
        for ticket in proxied.ask("GET", f"/agents/{agent}/tickets/pending").json
    ] == [BODY_MAX - len('{"payload":""}')]


@pytest.mark.parametrize(
    "host, origin, status",
    [
        (NAME, None, 202),
        (f"{NAME}:8443", f"https://{NAME}:8443", 202),
        ("evil.example", None, 421),
        (NAME, "https://evil.example", 403),
    ],
)
def test_the_broker_sees_the_host_and_origin_that_the_client_sent(proxied, host, origin, status):
    fields = [("Host", host), *([("Origin", origin)] if origin else [])]
    answer = proxied.ask("POST", f"/agents/{new_name()}/send", {"payload": 1}, fields)
    assert answer.status == status and ("error" in answer.json) == (status >= 400), answer


def test_many_requests_on_one_connection(proxied):
    with Line(proxied.port) as line:
        assert [line.ask("GET", "/health").status for _ in range(50)] == [200] * 50


def test_a_watcher_reconnects_after_a_restart_and_no_ticket_is_lost(proxied):
    agent = new_name()
    program = Program(proxied.url, BRIDGE_RECONNECT_MAX=500)
    with program.running("watch", agent, "--print") as watch:
        proxied.broker.send(agent, "before")
        wait_until(lambda: payloads(watch.lines) == ["before"], f"the first ticket: {watch.said}")
        proxied.broker.stop()
        wait_until(
            lambda: any("not receiving" in line for line in watch.said),
            "the interruption",
        )
        proxied.broker.start()
        proxied.broker.send(agent, "after")
        wait_until(lambda: len(watch.lines) == 2, f"the second ticket: {watch.said}")
        proxied.broker.send(agent, "live")
        wait_until(lambda: len(watch.lines) == 3, f"the third ticket: {watch.said}")
        assert payloads(watch.lines) == ["before", "after", "live"]
        assert (
            not any("tier changed" in line for line in watch.said)
            and proxied.connection(agent) == "sse"
        )


def bare(text: str) -> str:
    """nginx with only the broker's address and Host: it makes its requests in HTTP/1.0."""
    kept = ("proxy_pass ", "proxy_set_header Host")
    location = text[text.index("location / {") : text.index("        }\n    }\n}")]
    return text.replace(
        location,
        "location / {\n"
        + "\n".join(line for line in location.split("\n") if line.strip().startswith(kept))
        + "\n",
    )


def buffering(text: str) -> str:
    """The same, and nginx ignores X-Accel-Buffering, so it buffers the response.

    It then holds data back until a page is full. With requests in HTTP/1.1 it would not.
    """
    return bare(text).replace(
        "location / {", "location / {\nproxy_ignore_headers X-Accel-Buffering;"
    )


def test_a_watcher_steps_down_behind_an_nginx_that_buffers(fronted, tmp_path):
    with running("nginx", tmp_path, fronted.port, buffering) as port:
        proxied, agent = Proxied("nginx", fronted, port), new_name()
        with Program(proxied.url, BRIDGE_FIRST_BYTE=500).running(
            "watch", agent, "--print"
        ) as watch:
            watch.wait_said("tier changed")
            for number in range(3):
                fronted.send(agent, number)
                wait_until(
                    lambda: payloads(watch.lines) == list(range(number + 1)),
                    f"ticket {number}: {watch.said}",
                )
            assert proxied.connection(agent) == "longpoll"


def test_the_header_x_accel_buffering_keeps_a_bare_nginx_from_buffering(fronted, tmp_path):
    with running("nginx", tmp_path, fronted.port, bare) as port:
        test_each_event_arrives_before_the_next_one_is_sent(Proxied("nginx", fronted, port))


@pytest.mark.parametrize(
    "example, names",
    [
        ("nginx.conf", ["proxy_read_timeout", "proxy_send_timeout"]),
        ("haproxy.cfg", ["timeout client", "timeout server"]),
    ],
)
def test_timeouts_in_the_configurations_exceed_the_longest_silence(example, names):
    text = (EXAMPLES / example).read_text()
    for name in names:
        assert int(re.search(rf"^ *{name} +(\d+)s", text, re.MULTILINE)[1]) > max(
            LONGEST_WAIT, STALE
        )
