"""`bench` measures real processes and leaves none behind; `bench load` counts like the broker."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess

import pytest
from running import PATIENCE, ROOT, environment, package_launcher

from bridge.bench.plan import Way
from bridge.cli.main import main
from bridge.cli.progress import ProgressLine

QUICK = ("bench", "--quick", "--agents", "2", "--tickets", "1")
PROGRESS = ("starting", "connecting", "settling", "idle", "tickets", "stopping")


def test_all_ways_as_json(play):
    status, out, err = play(*QUICK, "--json").finish()
    assert status == 0, err
    said = json.loads(out)
    assert (
        (said["agents"], said["quick"], said["claims"]) == (2, True, [])
        and said["machine"]
        and said["at"].endswith("Z")
    )
    assert [each["way"] for each in said["ways"]] == [way.value for way in Way]
    for each in said["ways"]:
        assert each["processes"] == (1 if each["way"] == "supervise" else 2)
        assert (
            each["latency"]["count"] == 2
            and 0 < each["latency"]["p50Ms"] <= each["latency"]["p99Ms"]
        )
        assert each["brokerCpuPercent"] > 0 and each["bytesUp"] >= 0 and each["idleSeconds"] > 0
    poll = said["ways"][0]
    assert poll["requests"] > 0 and poll["bytesUp"] > 0 and poll["bytesDown"] > 0
    assert progress(err) == [
        f"bench {number}/4 {way.value}: {phase}"
        for number, way in enumerate(Way, 1)
        for phase in PROGRESS
    ]


def progress(err: str) -> list[str]:
    """The lines of stderr, without the debug lines of -X dev about a busy machine."""
    return [line for line in err.splitlines() if not line.startswith("Executing <")]


def test_one_way_as_a_table_from_the_one_file_program(play, program):
    status, out, err = play(
        *QUICK, "--ways", "sse", launcher=[*package_launcher()[:-2], program]
    ).finish()
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("2 agents, 2 tickets each way; ") and lines[2].split()[:2] == [
        "way",
        "req/min",
    ]
    assert lines[3].startswith("SSE ") and len(lines[3].split()) == 8
    assert "no claim is judged" in out


@pytest.mark.parametrize(
    "number, moment", [(signal.SIGINT, " broker "), (signal.SIGTERM, " watch ")]
)
def test_interrupted(play, number, moment):
    running = play(*QUICK, "--ways", "sse", "--idle", "600")
    running.wait_for(moment)
    running.process.send_signal(number)
    status, out, err = running.finish()
    assert (status, out) == (130, "") and set(progress(err)) <= {
        f"bench 1/1 sse: {phase}" for phase in PROGRESS
    }


@pytest.mark.parametrize("victim", [" broker ", " watch "])
def test_the_death_of_a_child_process_is_one_line(play, victim):
    running = play(*QUICK, "--ways", "sse", "--idle", "60")
    pid = running.wait_for(victim)
    running.wait_for(" watch ")
    os.kill(pid, signal.SIGKILL)
    status, out, err = running.finish()
    assert status in (1, 3) and out == "" and "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("bridge: ")] == progress(err)[-1:]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--ways", "sse,fax"], "'fax'"),
        (["--agents", "0"], "1 to 500"),
        (["--streams", "3"], "belongs to `bench load`"),
        (["--broker-url", "http://127.0.0.1:1"], "belongs to `bench load`"),
        (["load", "--agents", "3"], "belongs to `bench`"),
        (["load", "--quick"], "belong to `bench`"),
        (["load", "--rate", "many"], "whole number"),
        (["load", "--broker-url", "ftp://x"], "must look like"),
    ],
)
def test_wrong_arguments_are_one_line(capsys, words, said):
    assert main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("bridge: ") and said in err and err.count("\n") == 1


def test_load_without_a_broker_is_status_3(program_for):
    program = program_for("http://127.0.0.1:1")
    assert program.run("bench", "load", "--json", status=3) == ""


LOAD = ("bench", "load", "--streams", "5", "--seconds", "1")


@pytest.mark.parametrize("rate", [0, 50])
def test_load_counts_what_the_broker_counts(bridge, served, rate):
    before = served.metrics()
    said = json.loads(bridge.run(*LOAD, "--rate", str(rate), "--json"))
    after = served.metrics()
    assert said["sent"] == said["accepted"] == said["received"] == said["latency"]["count"] > 0
    assert (
        said["lost"],
        said["doubled"],
        said["repeated"],
        said["strangers"],
        said["errors"],
        said["refusal"],
    ) == (0, 0, 0, 0, {}, None)
    for counter in ("sent", "acknowledged"):
        name = f"bridge_messages_{counter}_total"
        assert after[name] - before[name] == said["sent"]
    assert after["bridge_messages_queued_current"] == before["bridge_messages_queued_current"]
    # The schedule, and 6 tickets that may be sent late.
    assert said["sent"] <= 50 * said["seconds"] + 6 if rate else True


def test_progress_is_one_line_on_a_terminal_and_not_on_stdout(bridge):
    ours, theirs = pty.openpty()
    try:
        words, variables = (
            [*package_launcher(strict=False), *LOAD],
            {**bridge.environment, "TERM": "xterm"},
        )
        done = subprocess.run(
            words, env=variables, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, timeout=PATIENCE
        )
        seen = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0, seen
    assert (
        seen.startswith("\r\x1b[Kbench load: opening streams 0 of 5")
        and seen.endswith("\r\x1b[K")
        and "\n" not in seen
    )
    for text in (
        "5 streams, 200 tickets a second over 8 connections",
        "POST → stream   average",
        "p99.9",
        "lost            0, doubled 0",
    ):
        assert text in done.stdout.decode()
    assert b"error" not in done.stdout


def test_load_against_a_rate_limit_names_the_setting(start, program_for):
    broker = start(BRIDGE_RATE_LIMIT=3)
    program = program_for(broker.url)
    out = program.run(*LOAD, "--rate", "0", "--json", status=1)
    said = json.loads(out)
    assert (
        said["accepted"] >= 15
        and set(said["errors"]) == {"send: 429"}
        and "BRIDGE_RATE_LIMIT" in said["refusal"]
    )
    assert (
        said["accepted"] == said["received"] == broker.metrics()["bridge_messages_sent_total"]
        and said["lost"] == 0
    )
    out = program.run(*LOAD, "--rate", "0", status=1)  # with new agents
    assert "start the broker with BRIDGE_RATE_LIMIT=0" in out and "send: 429" in out


def test_load_against_a_broker_without_streams_is_refused(start, program_for):
    program = program_for(start(DISABLE_SSE="true").url)
    assert program.run(*LOAD, status=5) == ""


def test_load_interrupted_shows_the_figures_until_then(bridge, served):
    words = [*package_launcher(), *LOAD, "--seconds", "600", "--json"]
    with subprocess.Popen(
        words,
        env=bridge.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert any("sending" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    said = json.loads(out)
    assert (
        process.returncode == 130
        and "Traceback" not in err
        and said["lost"] == 0
        and said["sent"] == said["received"]
    )
    assert served.metrics()["bridge_messages_queued_current"] == 0


def test_needing_more_open_files_than_allowed_is_one_line(bridge):
    words = [
        "prlimit",
        "--nofile=200:200",
        *package_launcher(),
        "bench",
        "load",
        "--streams",
        "500",
    ]
    done = subprocess.run(
        words, env=bridge.environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2 and "ulimit -n" in done.stderr and done.stderr.count("\n") == 1


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    with ProgressLine(screen) as line:
        line.tell("idle", "1 of 3")
        line.tell("idle", "1 of 3")
        line.tell("idle", "2 of 3")
    assert screen.getvalue() == "\r\x1b[Kidle 1 of 3\r\x1b[Kidle 2 of 3\r\x1b[K"


def test_progress_is_plain_lines_elsewhere():
    out = io.StringIO()
    with ProgressLine(out) as line:
        for how_far in ("1 of 2", "2 of 2"):
            line.tell("idle", how_far)
        line.tell("tickets")
    assert out.getvalue() == "idle\ntickets\n"


def test_help_has_examples():
    out = subprocess.run(
        [*package_launcher(), "bench", "--help"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    ).stdout
    assert (
        "python3 -m bridge bench --agents 10" in out
        and "bench load --broker-url" in out
        and "--publishers" in out
    )
