"""The broker's log: what an operator needs, in a bounded number of lines.

A line about a response has the X-Request-Id of the response. No line has text of a ticket.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess

import pytest
from raw_http import Line
from running import environment, package_launcher, read_line, wait_until

SECRET = "the-secret-text"
REFUSED = re.compile(
    r"refused id=(\S+) method=(\S+) path=(\S+) status=(\d+) reason=(\S+) peer=127\.0\.0\.1:\d+"
)


def refusals(broker):
    return [match.groups() for match in map(REFUSED.search, list(broker.stderr)) if match]


def refused(broker, request_id):
    return wait_until(
        lambda: [each for each in refusals(broker) if each[0] == request_id],
        f"a log line of {request_id}",
    )


def test_a_log_line_is_short_for_any_request(start):
    broker = start()
    answer = broker.ask("PUT", "/agents/" + "x" * 15000)
    wait_until(lambda: answer.field("x-request-id") in broker.said(), "the line of the refusal")
    answer = broker.ask("M" * 15000, "/agents")
    wait_until(lambda: answer.field("x-request-id") in broker.said(), "the line of the refusal")
    assert max(map(len, broker.stderr)) < 600 and "x…(15008)" in broker.said()


def test_start_and_stop_are_logged(start):
    broker = start()
    broker.send("lucy", 1)
    broker.signal(signal.SIGTERM)
    assert broker.wait() == 0
    said = broker.said()
    assert re.search(
        rf"info started version=\S+ pid={broker.process.pid} url={broker.url} "
        r"db=\S+ pending=0 agents=0",
        said,
    )
    assert "info draining connections=" in said and "info stopped pending=1 cut=0" in said


def test_a_refusal_is_logged_with_the_id_of_its_response(start):
    broker = start(BRIDGE_RATE_LIMIT=1)
    broker.send("lucy", 1)
    answer = broker.ask("POST", "/agents/lucy/send?q=1", {"payload": SECRET})
    request_id = answer.field("x-request-id")
    assert answer.status == 429 and refused(broker, request_id) == [
        (request_id, "POST", "/agents/lucy/send", "429", "rate_limit")
    ]
    answer = broker.ask("POST", "/agents/lucy/send", {}, fields=[("X-Request-Id", "mine:1/2=3")])
    assert (
        answer.field("x-request-id") == "mine:1/2=3"
        and refused(broker, "mine:1/2=3")[0][4] == "malformed"
    )
    with broker.line() as line:
        line.send(b"no request at all\r\n\r\n")
        answer = line.read_answer()
    assert refused(broker, answer.field("x-request-id"))[0][1:3] == ("-", "-")


def test_a_valid_request_id_is_returned(broker):
    def ask(request_id):
        answer = broker.ask("GET", "/health", fields=[("X-Request-Id", request_id)])
        return answer.field("x-request-id")

    assert ask("abc-123") == "abc-123"
    for invalid in ("x" * 129, "a b", 'quo"te', "é", "a,b", "", "<b>"):
        assert re.fullmatch("[0-9a-f]{8}", ask(invalid)), invalid
    assert broker.ask("GET", "/health").field("x-request-id") is None, (
        "a request without the field gets none"
    )
    with broker.stream("/agents/logs/tickets/stream", [("X-Request-Id", "stream-1")]) as stream:
        assert stream.head.field("x-request-id") == "stream-1"
    assert (
        broker.ask("GET", "/tickets/none", fields=[("X-Request-Id", "404-1")]).field("x-request-id")
        == "404-1"
    )


def test_many_refusals_do_not_fill_the_log(start):
    broker = start(BRIDGE_LOG_REFUSALS=3)
    with broker.line() as line:
        for _ in range(200):
            assert line.ask("POST", "/agents/lucy/send", {}).status == 400
    many = wait_until(
        lambda: [
            int(count) for count in re.findall(r"not logged one by one count=(\d+)", broker.said())
        ],
        "the sum",
    )
    wait_until(
        lambda: (
            sum(int(count) for count in re.findall(r"one by one count=(\d+)", broker.said()))
            + len(refusals(broker))
            == 200
        ),
        "all of them",
    )
    assert many[0] > 3 and len(refusals(broker)) < 100


def test_common_refusals_and_streams_are_logged_at_debug_only(start, tmp_path):
    quiet, loud = start(), start(db=tmp_path / "loud.db", flags=["--log-level", "debug"])
    for broker in (quiet, loud):
        assert broker.ask("GET", "/tickets/none").status == 404
        with broker.agent_stream("lucy") as stream:
            stream.read_block()
        wait_until(
            lambda: broker.ask("GET", "/debug/connections").json["sse"]["active"] == 0,
            "the stream's end",
        )
        broker.stop()
    assert "refused" not in quiet.said() and "stream" not in quiet.said().replace("streams=", "")
    assert [each[3:] for each in refusals(loud)] == [("404", "not_found")]
    assert (
        re.search(
            r"debug stream opened id=[0-9a-f]{8} method=GET path=/agents/lucy/tickets/stream peer=",
            loud.said(),
        )
        and "debug stream closed" in loud.said()
    )
    assert "debug answered id=" in loud.said()


def exchange(broker, secret):
    """Send requests of all kinds with the secret in each field that may hold a user's text."""
    ticket = broker.send("lucy", {"text": secret}, metadata={"origin": "ann", "note": secret})
    with broker.agent_stream("lucy") as stream:
        stream.read_event()
    broker.acknowledge(ticket, {"watcher": "w", "evidence": {"seen": secret}})
    broker.ask("POST", "/replies", {"ticketId": ticket, "payload": secret})
    broker.ask("POST", "/replies", {"ticketId": ticket, "payload": secret + "2"})
    for body in (
        b'{"payload": "' + secret.encode() + b'"',
        {"payload": secret, "timeoutMs": secret},
        {"payload": secret, "metadata": [secret]},
        [secret],
        secret.encode() + b"\xff",
    ):
        assert broker.ask("POST", "/agents/lucy/send", body).status == 400
    broker.ask("GET", f"/search?q={secret}")
    broker.ask("GET", f"/search?limit=0&q={secret}")
    broker.ask("POST", "/agents/lucy/send", b'{"payload":"' + secret.encode() * 100_000 + b'"}')


def test_no_text_of_a_request_is_logged(start):
    broker = start(flags=["--log-level", "debug"])
    exchange(broker, SECRET)
    broker.stop()
    assert "refused" in broker.said() and SECRET not in broker.said()


def test_with_format_json_each_line_is_json(start):
    broker = start(flags=["--log-level", "debug", "--log-format", "json"])
    exchange(broker, SECRET)
    broker.stop()
    lines = [line for line in broker.stderr if not line.startswith("bridge broker ready on ")]
    said = [json.loads(line) for line in lines]
    assert len(said) == len(broker.stderr) - 1 and all(
        {"at", "level", "logger", "message"} <= set(each) for each in said
    )
    fields = [each["fields"] for each in said if each["message"].startswith("refused ")]
    assert {each["reason"] for each in fields} >= {"malformed", "conflict", "too_large"} and all(
        isinstance(each["status"], int) for each in fields
    )


def test_a_failing_store_and_its_recovery_are_logged_in_few_lines(start):
    broker = start()
    resource.prlimit(
        broker.process.pid, resource.RLIMIT_FSIZE, (128 * 1024, resource.RLIM_INFINITY)
    )

    def send():
        return broker.ask("POST", "/agents/lucy/send", {"payload": "x" * 30_000})

    wait_until(lambda: send().status == 503, "a full store")
    assert [send().status for _ in range(20)] == [503] * 20
    assert len(re.findall("error commit failed rows=1 failures=", broker.said())) < 5
    resource.prlimit(
        broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    assert send().status == 202
    wait_until(
        lambda: re.search(r"warning commits succeed again failures=\d+ seconds=", broker.said()),
        "the recovery",
    )


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_internal_error_is_one_line_with_its_id(start, log_format):
    """The test destroys the store's file, so that a handler fails.

    The id in the 500 response is in the log line. The line has no text of a request.
    """
    broker = start(flags=["--log-format", log_format])
    broker.send("lucy", 1)
    wal = broker.db + "-wal"
    with open(wal, "r+b") as file:
        file.truncate(0)
    with open(broker.db, "r+b") as file:
        file.write(b"\0" * 4096)
    answer = wait_until(
        lambda: (lambda found: found if found.status == 500 else None)(
            broker.ask("GET", "/tickets/unknown-1")
        ),
        "a 500",
    )
    request_id = answer.field("x-request-id")
    assert request_id in answer.json["detail"] and "Traceback" not in answer.body.decode()
    (line,) = wait_until(
        lambda: [line for line in broker.stderr if f"handler failed id={request_id}" in line],
        "its line",
    )
    assert "Traceback" in line and (
        log_format == "text" or json.loads(line)["fields"]["path"] == "/tickets/unknown-1"
    )
    broker.kill()


def start_talkative() -> subprocess.Popen:
    """A broker that logs each refusal, and more, to a pipe."""
    flags = ["--port", "0", "--db", ":memory:", "--log-refusals", "100000", "--log-level", "debug"]
    words = [*package_launcher(), "broker", *flags]
    return subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)


def test_an_unread_log_does_not_block_the_broker():
    """The pipe takes 64 KiB. Later lines are dropped and counted, and the broker continues."""
    process = start_talkative()
    try:
        port = int(read_line(process.stderr).rpartition(":")[2])
        with Line(port) as line:
            for _ in range(4000):  # about 500 KB of lines
                assert line.ask("GET", "/tickets/none").status == 404
        said = process.stderr.read(100_000)
        assert said.count("refused id=") > 300
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(20) == 0
        assert (
            re.search(r"log lines lost, stderr was blocked count=\d+", rest)
            and "info stopped" in rest
        )
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_log_whose_reader_is_gone_does_not_block_the_broker():
    process = start_talkative()
    try:
        port = int(read_line(process.stderr).rpartition(":")[2])
        process.stderr.close()
        with Line(port) as line:
            for _ in range(50):
                assert line.ask("GET", "/tickets/none").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
