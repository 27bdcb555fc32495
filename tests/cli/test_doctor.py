"""`doctor` against real brokers, stores and tmux servers, and against broken ones."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import threading

import pytest
from panes import Server
from running import ROOT

from bridge import __version__
from bridge.doctor import machine, tmux
from bridge.doctor.examination import CHECKS, examine
from bridge.doctor.finding import Check, Grade, Setup, ok, size
from bridge.self_command import own_words
from cli.examining import DEAD, setup


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    started.open("sleep 100000")
    yield started
    started.stop()


# The command


def test_a_real_broker_a_real_store_and_a_real_tmux_pass_every_check(bridge, served, server):
    printed = bridge.run("doctor", "-L", server.name, "--db", served.db)
    lines = printed.splitlines()
    found = {line.split()[1]: line for line in lines if line.startswith(("ok", "warn", "fail"))}
    assert list(found) == [check.name for check in CHECKS], printed
    assert not any(line.startswith("fail") for line in lines)
    for name in (
        "python",
        "sqlite",
        "server",
        "broker",
        "version",
        "proxy",
        "stream",
        "clock",
        "store",
        "mode",
        "disk",
    ):
        assert found[name].startswith("ok  "), found[name]
    assert (
        served.url in found["broker"]
        and __version__ in found["version"]
        and "1 session, 1 pane" in found["server"]
    )
    assert "sound, version 2" in found["store"] and "0600" in found["mode"]
    # Only a warning or a failure has a second line: how to repair it.
    for line, after in zip(lines, lines[1:]):
        assert line.startswith("warn") == after.startswith("      mend:")


def test_no_broker_is_one_failure_and_status_1(program_for, tmp_path):
    program = program_for(DEAD, HOME=tmp_path, XDG_STATE_HOME=tmp_path / "state")
    found = {
        each["check"]: each
        for each in json.loads(
            program.run("doctor", "-S", str(tmp_path / "none"), "--json", status=1)
        )
    }
    assert [name for name, each in found.items() if each["grade"] == "fail"] == ["broker"]
    assert (
        "refused" in found["broker"]["text"]
        and "python3 -m bridge broker" in found["broker"]["mend"]
    )
    assert set(found) == {check.name for check in CHECKS if check.needs != "broker"}, (
        "checks that need a broker are skipped"
    )
    assert found["server"]["grade"] == "warn" and "tmux new" in found["server"]["mend"]
    assert (
        found["store"]["grade"] == "ok"
        and str(tmp_path) in found["store"]["text"]
        and os.listdir(tmp_path) == []
    ), "it creates no file"
    assert (
        "4 skipped"
        in program.run("doctor", "-S", str(tmp_path / "none"), status=1).splitlines()[-1]
    )


def test_a_wrong_setting_is_a_finding_or_a_usage_error(program_for, tmp_path):
    found = {
        each["check"]: each
        for each in json.loads(
            program_for("gopher://x").run(
                "doctor", "-S", str(tmp_path / "none"), "--json", status=1
            )
        )
    }
    assert found["broker"]["grade"] == "fail" and "gopher" in found["broker"]["text"]
    program_for(DEAD).run("doctor", "--check-deadline", "soon", status=2)


def test_the_locale_of_the_environment_is_checked(program_for, tmp_path):
    """Python itself coerces the C locale to UTF-8 (PEP 538). The check must not use that one."""
    program = program_for(DEAD)
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        program.environment.pop(name, None)
    words = ("doctor", "-S", str(tmp_path / "none"), "--json")
    for variables, grade in [
        ({}, "warn"),
        ({"LANG": "C"}, "warn"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "warn"),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, "ok"),
    ]:
        plain, program.environment = program.environment, {**program.environment, **variables}
        found = {each["check"]: each for each in json.loads(program.run(*words, status=1))}
        program.environment = plain
        assert found["locale"]["grade"] == grade, (variables, found["locale"])


# A check that breaks, and one that hangs


def test_a_check_that_breaks_or_hangs_is_a_finding_and_the_others_go_on():
    never = threading.Event()

    def breaks(_: Setup):
        raise ZeroDivisionError("no luck")

    checks = (
        Check("breaks", breaks),
        Check("after", lambda _: ok("not made"), needs="breaks"),
        Check("hangs", lambda _: never.wait() or ok("never")),
        Check("well", lambda _: ok("fine")),
    )
    found = {
        check.name: finding
        for check, finding in examine(setup(check_deadline=100, first_byte=100), checks)
    }
    never.set()
    assert list(found) == ["breaks", "hangs", "well"]
    assert (
        found["breaks"].grade is Grade.FAIL
        and "ZeroDivisionError: no luck" in found["breaks"].text
        and found["breaks"].mend
    )
    assert found["hangs"].grade is Grade.FAIL and "did not end within 0.2 s" in found["hangs"].text
    assert found["well"] == ok("fine")


# tmux


@pytest.mark.parametrize(
    "version, grade, words",
    [
        ((1, 9), "fail", ["before 2.2", "before 3.0"]),
        ((2, 7), "warn", ["before 3.0", "before 3.2", "before 3.4"]),
        ((3, 0), "warn", ["before 3.2"]),
        ((3, 3), "ok", ["before 3.4 a paste into a dead pane kills the whole server"]),
        ((3, 4), "ok", []),
        ((99, 0), "ok", []),
    ],
)
def test_what_a_version_of_tmux_lacks(version, grade, words):
    finding = tmux.judge_version("tmux x", version)
    assert (
        finding.grade.value == grade
        and all(each in finding.text for each in words)
        and finding.text.count("before") >= len(words)
    )
    assert bool(finding.mend) == (grade != "ok")


def script(folder: pathlib.Path, text: str, name: str = "tmux") -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_an_old_tmux_in_the_path(program_for, tmp_path):
    """This `tmux` only prints its version. The finding lists what it lacks; no traceback."""
    script(tmp_path, "echo tmux 2.7\n")
    program = program_for(DEAD, PATH=f"{tmp_path}:{os.environ['PATH']}")
    found = {each["check"]: each for each in json.loads(program.run("doctor", "--json", status=1))}
    assert (
        found["tmux"]["grade"] == "warn"
        and "tmux 2.7" in found["tmux"]["text"]
        and "before 3.0" in found["tmux"]["text"]
    )
    assert found["server"]["grade"] == "fail" and "no tmux would" in found["server"]["text"]


def test_no_tmux_at_all_and_one_that_hangs(tmp_path):
    assert tmux.program(setup(program=str(tmp_path / "tmux"))).grade is Grade.FAIL
    hanging = setup(program=script(tmp_path, "exec sleep 1000\n"))
    hanging.tmux._deadline = 0.2
    finding = tmux.program(hanging)
    assert finding.grade is Grade.FAIL and "no answer" in finding.text


@pytest.mark.parametrize(
    "said, grade, words",
    [
        ("echo 'no server running on /tmp/x' >&2; exit 1", "warn", "no server runs"),
        (
            "echo 'protocol version mismatch (client 8, server 7)' >&2; exit 1",
            "fail",
            "protocol version",
        ),
        (
            "echo '3.2a $0'; echo '3.2a $1'; echo '3.2a $1'",
            "warn",
            "2 sessions, 3 panes; it still runs 3.2a, the program is 3.4",
        ),
        ("echo '3.4 $0'", "ok", "1 session, 1 pane"),
        ("echo ' $0'", "ok", "1 session, 1 pane"),
    ],
)
def test_answers_of_a_tmux_server(tmp_path, said, grade, words):
    program = script(tmp_path, f'case "$*" in *-V*) echo tmux 3.4;; *) {said};; esac\n')
    finding = tmux.server(setup(program=program))
    assert finding.grade.value == grade and words in finding.text


# The machine


def test_which_bridge_is_in_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.name(setup()).grade is Grade.OK
    script(tmp_path, "exec iproute2\n", "bridge")
    finding = machine.name(setup())
    assert finding.grade is Grade.WARN and "python3 -m bridge" in finding.mend
    (tmp_path / "bridge").write_text(
        "#!/usr/bin/python3\nimport sys\nfrom bridge.__main__ import run\nsys.exit(run())\n"
    )
    assert machine.name(setup()).grade is Grade.OK


def test_the_packed_program_is_known_as_ours(program):
    assert machine.is_ours(program)


def test_the_command_of_a_pane_s_shell_is_tried_in_another_folder(monkeypatch):
    command = f"{sys.executable} -m bridge"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert machine.command(setup(shell_command=command + " show {id}")).grade is Grade.OK
    monkeypatch.delenv("PYTHONPATH")
    finding = machine.command(setup(shell_command=f"{sys.executable} -I -m bridge show {{id}}"))
    assert (
        finding.grade is Grade.WARN
        and "No module named" in finding.text
        and "--shell-command" in finding.mend
    )
    assert machine.command(setup(shell_command="read-ticket {id}")).grade is Grade.OK, (
        "the user's own command is not run"
    )
    own = machine.command(setup(shell_command=""))
    assert own.grade is Grade.OK and f"{own_words()} --version" in own.text


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, ("LANG", "")),
        ({"LANG": "C.UTF-8"}, ("LANG", "C.UTF-8")),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C"}, ("LC_CTYPE", "C")),
        ({"LANG": "C", "LC_ALL": "de_DE.utf8", "LC_CTYPE": "C"}, ("LC_ALL", "de_DE.utf8")),
        ({"LANG": "C", "LC_ALL": ""}, ("LANG", "C")),
    ],
)
def test_which_variable_names_the_locale(environ, expected):
    assert machine.locale_of(environ) == expected


def test_descriptors_are_judged_by_the_hard_limit():
    assert machine.descriptors(setup(descriptors=1)).grade is Grade.OK
    finding = machine.descriptors(setup(descriptors=1 << 62))
    assert finding.grade is Grade.WARN or finding.text == "no limit"


@pytest.mark.parametrize(
    "number, text",
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
    ],
)
def test_sizes_for_people(number, text):
    assert size(number) == text
