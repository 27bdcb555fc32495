"""Who may ask: local by default, and safe in a browser's reach (WIRE rule 8).

A page on the web can make a visitor's browser send requests to 127.0.0.1. Three
things give it away: the Host that it was fooled into using (DNS rebinding:
the page's own name, resolved to us), the Origin that the browser adds, and
Sec-Fetch-Site (W3C Fetch Metadata) where it adds none, as to an image's GET.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from bridge.errors import PeerError
from bridge.wire.request import Request

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
REMEMBERED_MAX = 256  # Host values that were checked before
REMEMBERED_LENGTH = 256  # characters of each; a port may have any number of digits
OTHER_SITES = {"cross-site", "same-site"}  # the latter is another port of this machine's, for one


class Guard:
    def __init__(self, host: str, allowed_hosts: str, allowed_origins: str) -> None:
        self._names = LOOPBACK | {_bare(name) for name in (host, *_list(allowed_hosts)) if name}
        self._any_address = host in ("0.0.0.0", "::", "")
        if self._any_address:
            self._names.add(socket.gethostname().lower())
        self._origins = set(_list(allowed_origins))
        self._remembered: set[str] = set()

    # Hot: once per request.
    def check(self, request: Request) -> None:
        """Raises PeerError 421 for a foreign Host, 403 for a page of another origin."""
        if request.authority not in self._remembered:
            self._check_host(request)
        if "origin" in request.fields:
            self._check_origin(request.fields["origin"], request.authority)
        elif request.fields.get("sec-fetch-site") in OTHER_SITES and not _opens_a_page(request):
            detail = "pages of other sites may not ask; BRIDGE_ALLOWED_ORIGINS lists those that may"
            raise PeerError(403, detail)

    def allows(self, origin: str) -> bool:
        """Whether another web origin may read our answers; never "*"."""
        return origin.lower() in self._origins

    def _check_host(self, request: Request) -> None:
        if not request.authority:
            if request.version < (1, 1):
                return  # HTTP/1.0 has no Host; no browser speaks it
            raise PeerError(400, "the Host header is empty")
        name = _host_name(request.authority)
        if name not in self._names and not (self._any_address and _is_address(name)):
            raise PeerError(
                421,
                f"this broker does not go by the name {name!r}; BRIDGE_ALLOWED_HOSTS lists further names",
            )
        if len(self._remembered) < REMEMBERED_MAX and len(request.authority) <= REMEMBERED_LENGTH:
            self._remembered.add(request.authority)

    def _check_origin(self, origin: str, authority: str) -> None:
        own = {f"http://{authority}".lower(), f"https://{authority}".lower()}
        if origin.lower() not in own and not self.allows(origin):
            raise PeerError(
                403,
                f"requests from the web origin {origin!r} are refused; BRIDGE_ALLOWED_ORIGINS lists those that may call",
            )


def _opens_a_page(request: Request) -> bool:
    """A link that was followed. All else, a frame too, a page asks for behind its reader's back."""
    fields = request.fields
    return fields.get("sec-fetch-mode") == "navigate" and fields.get("sec-fetch-dest") == "document"


def _list(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _bare(name: str) -> str:
    """As `_host_name` gives it: without an IPv6 address' brackets and without the dot of a rooted name."""
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
