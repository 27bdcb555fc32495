"""Where is the broker? A URL becomes a checked value, once.

`http://host:port/prefix` and https are accepted (RFC 3986, RFC 9110 section
4.2). A prefix is kept, because a broker may be behind a proxy at a path. User names
and passwords in a URL end up in logs and process lists, so they are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from bridge.errors import UsageError

DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}]")
_PLAIN_PREFIX = "/-._~!$&'()*+,;=:@%"


@dataclass(frozen=True)
class BrokerAddress:
    """A checked broker URL."""

    scheme: str
    host: str
    port: int
    prefix: str  # "" or "/something", without a slash at its end

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of the Host field (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @classmethod
    def from_url(cls, url: str) -> BrokerAddress:
        """Raises UsageError that explains what is wrong with the URL."""
        text = url.strip()
        wrong = _NOT_IN_A_URL.search(text)
        if wrong:
            raise UsageError(
                f"broker URL {url!r} holds the character {wrong.group()!r}, which no URL may hold"
            )
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"broker URL {url!r} cannot be read: {error}") from None
        if parts.scheme not in DEFAULT_PORTS or not host:
            raise UsageError(
                f"broker URL {url!r} must look like http://127.0.0.1:5050 or https://name/path"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise UsageError(f"broker URL {url!r} must not hold a user name, a query or a fragment")
        prefix = quote(parts.path.rstrip("/"), safe=_PLAIN_PREFIX)
        return cls(
            parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, prefix
        )


def segment(identifier: str) -> str:
    """An id as one path segment: nothing in it can change the path (RFC 3986 sections 2.1, 3.3)."""
    if set(identifier) <= {"."}:
        # A proxy would resolve "." and ".." (RFC 3986 section 5.2.4).
        return identifier.replace(".", "%2E")
    return quote(identifier, safe="")
