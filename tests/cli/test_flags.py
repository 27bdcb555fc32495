"""Flags come from settings. Each field has one; it wins over the environment; errors name it."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from bridge.cli.flags import add_flags, load
from bridge.errors import UsageError
from bridge.settings import (
    BrokerSettings,
    ClientSettings,
    SupervisorSettings,
    TmuxSettings,
    WatcherSettings,
    default_db,
)


def parser_for(cls) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_flags(parser, cls, "all")
    return parser


@pytest.mark.parametrize(
    "cls", [BrokerSettings, ClientSettings, SupervisorSettings, WatcherSettings, TmuxSettings]
)
def test_each_field_has_a_flag_and_without_flags_the_defaults_hold(cls, monkeypatch):
    for entry in fields(cls):
        for variable in entry.metadata["env"]:
            monkeypatch.delenv(variable, raising=False)
    parser = parser_for(cls)
    text = " ".join(parser.format_help().split())
    assert all("--" + entry.name.replace("_", "-") in text for entry in fields(cls))
    assert load(cls, parser.parse_args([])) == cls()


def test_flag_wins_over_environment_wins_over_default(monkeypatch):
    parser = parser_for(WatcherSettings)
    monkeypatch.setenv("BRIDGE_LEASE", "777")
    monkeypatch.setenv("DISABLE_SSE", "true")
    assert load(WatcherSettings, parser.parse_args([])).lease == 777
    assert load(WatcherSettings, parser.parse_args(["--lease", "888"])).lease == 888
    assert load(WatcherSettings, parser.parse_args([])).disable_sse is True
    assert load(WatcherSettings, parser.parse_args(["--no-disable-sse"])).disable_sse is False
    assert load(WatcherSettings, parser.parse_args(["--exit-on-loss"])).exit_on_loss is True


@pytest.mark.parametrize(
    "words",
    [
        ["--lease", "soon"],
        ["--lease", "-5"],
        ["--push-mode", "carrier-pigeon"],
        ["--longpoll-wait", "60001"],
    ],
)
def test_a_wrong_value_names_its_flag(words):
    with pytest.raises(UsageError, match=words[0]):
        load(WatcherSettings, parser_for(WatcherSettings).parse_args(words))


@pytest.mark.parametrize(
    "state, home",
    [
        ("/var/state", "/var/state"),
        ("", "/home/lucy/.local/state"),
        ("state", "/home/lucy/.local/state"),
    ],
)
def test_a_relative_state_home_is_ignored(state, home, monkeypatch):
    """XDG base directory specification: paths in these variables must be absolute."""
    monkeypatch.setenv("HOME", "/home/lucy")
    assert default_db({"XDG_STATE_HOME": state}) == f"{home}/bridge/bridge.db"
