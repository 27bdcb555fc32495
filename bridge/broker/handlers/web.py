"""The web page and its parts: the files of bridge/broker/web, the same bytes for all clients.

Rule 1: only the files in FILES are served. No path of a request reaches a file system.
Rule 2: no text of a ticket or an agent is put into a page here. The page gets texts as JSON and
shows them as text. Its policy (POLICY) refuses everything else that a text could become: a
script, a style, a frame, a foreign address.
Rule 3: the files are read together, once, when the broker starts. So a page never mixes two
versions of itself, and a new bridge.pyz may replace the file of a running one.
"""

from __future__ import annotations

import hashlib
import pkgutil
from functools import lru_cache
from typing import NamedTuple

from bridge.broker.answers import Answer, Response
from bridge.broker.call import Call
from bridge.errors import Reason, RequestError
from bridge.wire.request import Request

HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
SVG = "image/svg+xml"
PAGE = "page.html"
FILES = {
    PAGE: HTML,
    "icon.svg": SVG,
    **dict.fromkeys(["theme.css", "layout.css", "parts.css", "story.css"], CSS),
    **dict.fromkeys(
        [
            "agent.js", "agents.js", "api.js", "chart.js", "charts.js", "connection.js",
            "dialogs.js", "dom.js", "figures.js", "format.js", "keys.js", "live.js", "main.js",
            "painter.js", "pulse.js", "route.js", "search.js", "send.js", "stages.js", "state.js",
            "story.js", "text.js", "theme.js", "ticker.js", "ticket.js", "tickets.js",
        ],
        SCRIPT,
    ),
}  # fmt: skip
POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        "img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "trusted-types 'none'",
    ]
)  # fmt: skip
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
# The browser keeps the file but asks each time, so a new version shows at once.
REVALIDATE = "no-cache"


class WebFile(NamedTuple):
    body: bytes
    content_type: str
    etag: str


@lru_cache(maxsize=1)
def read_files() -> dict[str, WebFile]:
    return {name: _read(name, content_type) for name, content_type in FILES.items()}


def _read(name: str, content_type: str) -> WebFile:
    body = pkgutil.get_data("bridge.broker.web", name)  # also from a zip
    assert body is not None  # None only with a loader without get_data
    return WebFile(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def page(call: Call) -> Answer:
    return _answer(call.request, PAGE)


def part(call: Call) -> Answer:
    name = call.name
    if name not in FILES or name == PAGE:
        raise RequestError(Reason.NOT_FOUND, f"the page has no part {name[:64]!r}")
    return _answer(call.request, name)


def _answer(request: Request, name: str) -> Response:
    file = read_files()[name]
    headers = (*HEADERS, ("ETag", file.etag))
    if _is_known(request.fields.get("if-none-match", ""), file.etag):
        return Response(304, headers=headers, cache=REVALIDATE)
    return Response(200, file.body, file.content_type, headers, cache=REVALIDATE)


def _is_known(asked: str, etag: str) -> bool:
    """If-None-Match (RFC 9110 section 13.1.2): a list, compared weakly, or `*`."""
    tags = [tag.strip() for tag in asked.split(",")]
    return "*" in tags or any(tag in (etag, f"W/{etag}") for tag in tags)
