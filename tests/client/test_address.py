"""A broker URL is checked once, and an id can never change a path."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.client.address import BrokerAddress, segment
from bridge.errors import UsageError


@pytest.mark.parametrize(
    "url, authority, prefix, text",
    [
        ("http://127.0.0.1:5050", "127.0.0.1:5050", "", "http://127.0.0.1:5050"),
        ("http://localhost/", "localhost", "", "http://localhost"),
        (
            "HTTPS://Broker.Example:443/bridge/",
            "broker.example",
            "/bridge",
            "https://broker.example/bridge",
        ),
        ("https://broker.example:80", "broker.example:80", "", "https://broker.example:80"),
        ("http://[::1]:5050/a/b", "[::1]:5050", "/a/b", "http://[::1]:5050/a/b"),
        (" http://h:1 ", "h:1", "", "http://h:1"),
    ],
)
def test_good_urls(url, authority, prefix, text):
    address = BrokerAddress.from_url(url)
    assert (address.authority, address.prefix, str(address)) == (authority, prefix, text)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:5050",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h:x",
        "http://u:p@h",
        "http://h?x=1",
        "http://h#f",
        "http://h/a b",
        "http://h/\r\nX: 1",
        "http://[::1",
        "unix:/tmp/x",
        "http://h/é",
    ],
)
def test_the_error_of_a_bad_url_says_that_it_is_the_broker_url(url):
    with pytest.raises(UsageError, match="broker URL"):
        BrokerAddress.from_url(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_usage_error(text):
    try:
        address = BrokerAddress.from_url(text)
    except UsageError:
        return
    assert BrokerAddress.from_url(str(address)) == address


@given(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40))
def test_a_segment_is_one_segment_and_decodes_to_the_id(identifier):
    encoded = segment(identifier)
    assert not set(encoded) & set("/?# \r\n") and encoded not in (".", "..") and encoded.isascii()
    assert unquote(encoded) == identifier
