"""Helpers for control clients: create one, connect it, list those that the server has."""

from __future__ import annotations

import asyncio
import contextlib
import time

from panes import PATIENCE, Person

from bridge.tmux.control_mode.client import ControlClient


@contextlib.asynccontextmanager
async def client_of(server, policy: str = "on", **options):
    client = ControlClient(socket_name=server.name, policy=policy, **options)
    try:
        yield client
    finally:
        await client.aclose()


async def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.02)


async def connect(client: ControlClient) -> None:
    await client.query("list-sessions")
    assert client.is_connected


def controls(server) -> list[str]:
    """Names of the sessions to which control clients are attached."""
    lines = server(
        "list-clients", "-F", "#{client_control_mode} #{client_session}", check=False
    ).splitlines()
    return [line[2:] for line in lines if line.startswith("1 ")]


async def connect_behind(client: ControlClient, person: Person) -> None:
    """Connect under policy "auto": the client attaches only after the person has typed a key."""
    deadline = time.monotonic() + PATIENCE
    while not client.is_connected:
        assert time.monotonic() < deadline, "it did not attach"
        person.press("x")
        await asyncio.sleep(0.1)
        client._not_before = 0.0  # skip the pause of TYPED_STEP
        await client.query("list-sessions")
