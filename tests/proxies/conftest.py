"""Start real proxies from the configurations in examples/proxies.

Only ports are replaced, and settings that would write files or open ports outside of the test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from raw_http import PATIENCE, EventStream, Line
from running import ROOT, Broker, package_launcher, wait_until

EXAMPLES = ROOT / "examples" / "proxies"
NAME = "bridge.example"  # the host name under which clients reach the broker
# Under root, nginx would run its workers as an account that cannot enter pytest's folder.
OF_A_ROOT = "user root; " if os.geteuid() == 0 else ""


def nginx(text: str, folder) -> tuple[str, list[str]]:
    """Keep log and spool files inside `folder`."""
    spools = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{\naccess_log off;\n{spools}", 1)
    return text, [
        "nginx",
        "-p",
        str(folder),
        "-e",
        "stderr",
        "-g",
        f"daemon off; {OF_A_ROOT}pid {folder}/pid;",
        "-c",
    ]


def haproxy(text: str, folder) -> tuple[str, list[str]]:
    return text, ["haproxy", "-db", "-f"]


def caddy(text: str, folder) -> tuple[str, list[str]]:
    """Disable the administration port, which is the same for each running caddy."""
    return "{\nadmin off\n}\n" + text, ["caddy", "run", "--adapter", "caddyfile", "--config"]


PROXIES = {
    "nginx": (nginx, "nginx.conf"),
    "haproxy": (haproxy, "haproxy.cfg"),
    "caddy": (caddy, "Caddyfile"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxied:
    """A broker with a fixed port, and a proxy in front of it."""

    def __init__(self, name: str, broker: Broker, port: int) -> None:
        self.name, self.broker, self.port, self.url = name, broker, port, f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body=None, fields=()):
        with Line(self.port) as line:
            return line.ask(method, path, body, fields)

    def agent_stream(self, agent: str) -> EventStream:
        return EventStream(self.port, f"/agents/{agent}/tickets/stream")

    def connection(self, agent: str) -> str:
        """How the agent is connected, as the broker reports it without the proxy."""
        return self.broker.ask("GET", f"/debug/agent/{agent}/status").json["connection"]


@contextlib.contextmanager
def running(name: str, folder, upstream: int, change=lambda text: text):
    """Run the proxy `name` in front of port `upstream`, and yield its port.

    `change` may modify the text of the example's configuration.
    """
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    prepare, example = PROXIES[name]
    port = free_port()
    text = (
        change((EXAMPLES / example).read_text())
        .replace("8080", str(port))
        .replace("5050", str(upstream))
    )
    text, command = prepare(text, folder)
    file = folder / example
    file.write_text(text)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*command, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **home},
        )
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, f"{name} answers")
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def broker_at(folder, **settings):
    """A broker that keeps its port after a restart, and sends a heartbeat each 200 ms."""
    port = free_port()
    flags = ["--port", str(port), "--allowed-hosts", NAME]
    with Broker(
        package_launcher(),
        folder / "bridge.db",
        flags=flags,
        BRIDGE_SSE_HEARTBEAT=200,
        BRIDGE_RATE_LIMIT=0,
        **settings,
    ) as started:
        yield started


@pytest.fixture(scope="module")
def fronted(tmp_path_factory):
    """A broker for the tests that start their own proxy."""
    with broker_at(tmp_path_factory.mktemp("fronted")) as started:
        yield started


@pytest.fixture(scope="module", params=PROXIES)
def proxied(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with broker_at(folder) as broker, running(request.param, folder, broker.port) as port:
        yield Proxied(request.param, broker, port)
