"""Which Host and which Origin fields are allowed.

A web page can point its own DNS name at 127.0.0.1 (DNS rebinding). It cannot choose the Host and
Origin fields that a browser sends.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.fronts.origin_policy import REMEMBERED_MAX, OriginPolicy
from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser


def ask(policy: OriginPolicy, host=None, origin=None, version="1.1") -> int:
    """Return 200, or the status with which the parser or the policy refuses these fields."""
    fields = "".join(
        f"{name}: {value}\r\n"
        for name, value in (("Host", host), ("Origin", origin))
        if value is not None
    )
    parser = RequestParser(Limits())
    parser.feed(f"GET /health HTTP/{version}\r\n{fields}\r\n".encode())
    try:
        policy.check(parser.take_request())
    except PeerError as error:
        return error.status
    return 200


LOCAL = OriginPolicy("127.0.0.1", "", "")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:5050",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:5050",
        "localhost.",
        "localhost.:80",
        "127.0.0.1:",
    ],
)
def test_the_brokers_own_names_are_allowed(host):
    assert ask(LOCAL, host) == 200
    assert ask(LOCAL, host) == 200, "from the cache"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5050",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0.0.0.0",
        "[::]",
        "[::2]",
        "[::ffff:127.0.0.1]",
        "localhost%2e",
        "%6cocalhost",
        ".",
        "..",
        "localhost..",
        "127.0.0.1..",
        "localhost..evil",
        "[::1].evil",
    ],
)
def test_foreign_names_are_refused(host):
    assert ask(LOCAL, host) in (400, 421)
    assert ask(LOCAL, host, version="1.0") in (400, 421)
    assert ask(LOCAL, host, f"http://{host}") in (400, 421), (
        "an origin equal to the Host does not make the name allowed"
    )


@pytest.mark.parametrize(
    "host",
    [
        "",
        "user@localhost",
        "localhost:x",
        "localhost 127.0.0.1",
        "localhost, evil",
        "[::1",
        "a/b",
        "localhost#",
        "localhost?x",
    ],
)
def test_an_invalid_host_field_is_400(host):
    assert ask(LOCAL, host) == 400


def test_http_1_0_needs_no_host():
    assert ask(LOCAL, None, version="1.0") == 200


@pytest.mark.parametrize(
    "host, origin, status",
    [
        ("localhost:5050", "http://localhost:5050", 200),
        ("localhost:5050", "HTTP://LOCALHOST:5050", 200),
        ("localhost", "https://localhost", 200),
        ("localhost:5050", "http://localhost", 403),
        ("localhost:5050", "http://localhost:3000", 403),
        ("localhost:5050", "http://127.0.0.1:5050", 403),
        ("localhost:5050", "null", 403),
        ("localhost:5050", "", 403),
        ("localhost:5050", "*", 403),
        ("localhost:5050", "http://evil.example", 403),
        ("localhost:5050", "http://localhost:5050.evil.example", 403),
        ("localhost:5050", "http://localhost:5050/", 403),
        ("localhost:5050", "file://", 403),
    ],
)
def test_only_the_origin_of_the_host_is_allowed(host, origin, status):
    assert ask(LOCAL, host, origin) == status


def fetch(policy: OriginPolicy, **fields) -> int:
    """Return the status for a browser's request with these Sec-Fetch fields and this Origin."""
    given = [f"Sec-Fetch-{name}" if name != "origin" else name for name in fields]
    lines = "".join(f"{name}: {value}\r\n" for name, value in zip(given, fields.values()))
    parser = RequestParser(Limits())
    parser.feed(f"GET /agents HTTP/1.1\r\nHost: localhost:5050\r\n{lines}\r\n".encode())
    try:
        policy.check(parser.take_request())
    except PeerError as error:
        return error.status
    return 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "mode, dest",
    [
        ("no-cors", "image"), ("no-cors", "script"), ("no-cors", "empty"), ("navigate", "iframe"),
        ("navigate", "object"), ("cors", "empty"), ("websocket", "websocket"),
    ],
)  # fmt: skip
def test_a_request_from_another_sites_page_is_refused(site, mode, dest):
    """A GET without an Origin has effects: a poll sets the tier and marks tickets as sent."""
    assert fetch(LOCAL, site=site, mode=mode, dest=dest) == 403
    assert fetch(LOCAL, site=site) == 403


def test_a_followed_link_our_own_page_and_a_typed_address_are_allowed():
    assert fetch(LOCAL, site="cross-site", mode="navigate", dest="document") == 200
    assert fetch(LOCAL, site="same-origin", mode="cors", dest="empty") == 200
    assert fetch(LOCAL, site="none", mode="navigate", dest="document") == 200
    allowed = OriginPolicy("127.0.0.1", "", "https://app.example")
    for origin, status in (("https://app.example", 200), ("https://evil.example", 403)):
        assert fetch(allowed, site="cross-site", mode="cors", dest="empty", origin=origin) == status


def test_settings_add_names_and_origins():
    policy = OriginPolicy(
        "192.0.2.7",
        " Bridge.Example , [fd00::1], dotted.example. ",
        "https://App.example, http://localhost:3000",
    )
    for host in (
        "bridge.example",
        "BRIDGE.example:8080",
        "bridge.example.",
        "[fd00::1]:5050",
        "[FD00::1]",
        "192.0.2.7:5050",
        "dotted.example",
    ):
        assert ask(policy, host) == 200, host
    assert ask(policy, "other.example") == 421
    assert ask(policy, "bridge.example", "https://app.EXAMPLE") == 200 and policy.allows(
        "https://app.example"
    )
    assert ask(policy, "bridge.example", "https://app.example.evil") == 403
    assert not policy.allows("*") and not policy.allows("null") and not policy.allows("")


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", ""])
def test_a_broker_bound_to_all_addresses_allows_any_address_but_no_foreign_name(bound):
    """DNS rebinding needs a name. An address literal cannot be rebound."""
    policy = OriginPolicy(bound, "", "")
    for host in ("192.0.2.1:5050", "[2001:db8::1]", "localhost"):
        assert ask(policy, host) == 200
    for host in ("evil.example", "192.0.2.1.evil.example", "."):
        assert ask(policy, host) == 421, host


@given(st.lists(st.from_regex(r"[a-z]{1,5}\.example(:[0-9]{1,4})?", fullmatch=True), max_size=5))
def test_foreign_names_are_never_cached(hosts):
    policy = OriginPolicy("127.0.0.1", "", "")
    for host in hosts * 2:
        assert ask(policy, host) == 421
    assert not policy._remembered


def test_the_cache_is_bounded():
    policy = OriginPolicy("127.0.0.1", "", "")
    for port in range(2 * REMEMBERED_MAX):
        assert ask(policy, f"localhost:{port}") == 200
    assert len(policy._remembered) <= REMEMBERED_MAX
    long = OriginPolicy("127.0.0.1", "", "")
    assert ask(long, "localhost:" + "0" * 10000) == 200 and not long._remembered
