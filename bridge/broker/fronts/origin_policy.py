"""Which requests are allowed: by default local ones, but none of a foreign page.

A page on the web can make a visitor's browser send requests to 127.0.0.1. Three
header fields reveal such a request:

    Host             a foreign name (DNS rebinding: the page's own name resolves to us)     421
    Origin           the page's origin; browsers add it to most requests of scripts         403
    Sec-Fetch-Site   where there is no Origin, as with an image's GET (W3C Fetch Metadata)  403

A link that a reader follows to the broker's own page is allowed from every site.
A request without these fields does not come from a browser's page, and is allowed.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from bridge.errors import PeerError
from bridge.wire.request import Request

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
REMEMBERED_MAX = 256  # Host values that are remembered as allowed
REMEMBERED_LENGTH = 256  # characters of each; a port may have any number of digits
OTHER_SITES = {"cross-site", "same-site"}  # another port of this machine is same-site


class OriginPolicy:
    def __init__(self, host: str, allowed_hosts: str, allowed_origins: str) -> None:
        self._names = LOOPBACK | {_bare(name) for name in (host, *_list(allowed_hosts)) if name}
        self._any_address = host in ("0.0.0.0", "::", "")
        if self._any_address:
            self._names.add(socket.gethostname().lower())
        self._origins = set(_list(allowed_origins))
        self._remembered: set[str] = set()

    # Hot: once per request.
    def check(self, request: Request) -> None:
        """Refuse a request of a foreign page.

        Raises PeerError: 400 for a Host that is no host name, 421 for a name that is not ours,
        403 for a page of another origin.
        """
        if request.authority not in self._remembered:
            self._check_host(request)
        if "origin" in request.fields:
            self._check_origin(request.fields["origin"], request.authority)
        elif request.fields.get("sec-fetch-site") in OTHER_SITES and not _opens_a_page(request):
            detail = (
                "requests from pages of other sites are refused; "
                "BRIDGE_ALLOWED_ORIGINS lists those that may call"
            )
            raise PeerError(403, detail)

    def allows(self, origin: str) -> bool:
        """Return whether a page of another web origin may call and read our answers."""
        return origin.lower() in self._origins

    def _check_host(self, request: Request) -> None:
        if not request.authority:
            if request.version < (1, 1):
                return  # HTTP/1.0 has no Host; no browser sends HTTP/1.0
            raise PeerError(400, "the Host header is empty")
        name = _host_name(request.authority)
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise PeerError(
                421,
                f"this broker does not go by the name {name!r}; "
                "BRIDGE_ALLOWED_HOSTS lists further names",
            )
        if len(self._remembered) < REMEMBERED_MAX and len(request.authority) <= REMEMBERED_LENGTH:
            self._remembered.add(request.authority)

    def _check_origin(self, origin: str, authority: str) -> None:
        own = {f"http://{authority}".lower(), f"https://{authority}".lower()}
        if origin.lower() not in own and not self.allows(origin):
            raise PeerError(
                403,
                f"requests from the web origin {origin!r} are refused; "
                "BRIDGE_ALLOWED_ORIGINS lists those that may call",
            )


def _opens_a_page(request: Request) -> bool:
    """Did the reader follow a link? A page can make all other requests, also a frame's, unseen."""
    fields = request.fields
    return fields.get("sec-fetch-mode") == "navigate" and fields.get("sec-fetch-dest") == "document"


def _list(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _bare(name: str) -> str:
    """The name as `_host_name` returns it: without IPv6 brackets and without a trailing dot."""
    return name.lower().strip("[]").removesuffix(".")


def _host_name(authority: str) -> str:
    try:
        return (urlsplit(f"//{authority}").hostname or "").removesuffix(".").lower()
    except ValueError:
        raise PeerError(400, "the Host header is no host name") from None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
