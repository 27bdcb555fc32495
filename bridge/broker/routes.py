"""Which handler answers which request. A route is a method and a path; `{}` in it is one id."""

from __future__ import annotations

from functools import lru_cache
from typing import Callable

from bridge.broker.answers import Answer
from bridge.broker.call import Call
from bridge.broker.handlers import (
    agents,
    backup,
    dropping,
    history,
    observation,
    pages,
    replies,
    scrape,
    streams,
    subscribers,
    tickets,
    web,
)
from bridge.broker.services import Services
from bridge.errors import PeerError
from bridge.wire.request import Request
from bridge.wire.target import decode_segments

Handler = Callable[[Call], Answer]

ROUTES: dict[str, dict[str, Handler]] = {
    "/": {"GET": web.page},
    "/web/{}": {"GET": web.part},
    "/agents": {"GET": agents.list_agents},
    "/agents/register": {"POST": agents.register},
    "/agents/{}": {"GET": agents.show_agent, "DELETE": agents.remove},
    "/agents/{}/heartbeat": {"POST": agents.heartbeat},
    "/agents/{}/send": {"POST": tickets.send},
    "/agents/{}/subscribe": {"POST": agents.subscribe, "DELETE": agents.unsubscribe},
    "/agents/{}/tickets/pending": {"GET": tickets.pending, "DELETE": dropping.purge},
    "/agents/{}/tickets/stream": {"GET": streams.stream},
    "/subscribers/{}": {"GET": subscribers.show_subscriber},
    "/subscribers/{}/tickets/pending": {"GET": subscribers.pending_of_subscriber},
    "/search": {"GET": observation.find},
    "/tickets/stream": {"GET": streams.shared_stream},
    "/tickets/{}": {"GET": history.show, "DELETE": dropping.drop},
    "/tickets/{}/claim": {"POST": tickets.claim},
    "/tickets/{}/acknowledge": {"POST": tickets.acknowledge},
    "/tickets/{}/shown": {"POST": history.shown},
    "/tickets/{}/aside": {"POST": history.aside},
    "/replies": {"POST": replies.reply},
    "/replies/{}": {"GET": replies.get_reply},
    "/replies/{}/wait": {"GET": replies.wait_reply},
    "/replies/{}/stream": {"GET": replies.stream_reply},
    "/overview": {"GET": observation.overview},
    "/events": {"GET": observation.events},
    "/backup": {"GET": backup.backup},
    "/health": {"GET": pages.health},
    "/metrics": {"GET": scrape.metrics},
    "/debug/connections": {"GET": pages.connections},
    "/debug/agent/{}/status": {"GET": pages.agent_status},
}
KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}


def _shape(template: str) -> tuple[int, tuple[str, ...]]:
    """The index of the id's segment (-1 = there is none), and the other segments."""
    parts = template[1:].split("/")
    index = parts.index("{}") if "{}" in parts else -1
    return index, tuple(part for part in parts if part != "{}")


# Number of segments -> the few shapes that can match, literal ones first.
_BY_LENGTH: dict[int, list[tuple[int, tuple[str, ...], dict[str, Handler]]]] = {}
for _template, _methods in sorted(ROUTES.items(), key=lambda route: "{}" in route[0]):
    _BY_LENGTH.setdefault(_template.count("/"), []).append((*_shape(_template), _methods))


SHARED_STREAM = ["tickets", "stream"]
REMEMBERED_PATHS = 4096
# Characters. A path may be as long as a head, so long ones are not remembered. An id of 128
# characters of three bytes each is longer, and rare.
REMEMBERED_LENGTH = 512


def _find(path: str) -> dict[str, tuple[Handler, str]]:
    """The methods that the path allows: for each, its handler and the id in the path.

    /agents/register is also an agent of that name, with other methods. No ticket is named `stream`
    (tickets.RESERVED_IDS).
    """
    found: dict[str, tuple[Handler, str]] = {}
    segments = decode_segments(path)
    for index, literals, methods in _BY_LENGTH.get(len(segments), ()):
        rest = (*segments[:index], *segments[index + 1 :]) if index >= 0 else tuple(segments)
        if rest == literals:
            name = segments[index] if index >= 0 else ""
            for method, handler in methods.items():
                found.setdefault(method, (handler, name))
            if segments == SHARED_STREAM:
                break
    if "GET" in found:
        found["HEAD"] = found["GET"]
    return found


_remembered = lru_cache(maxsize=REMEMBERED_PATHS)(_find)


# Hot: once per request.
def dispatch(request: Request, services: Services, is_counted: bool = False) -> Answer:
    """Answer a request. `is_counted`: a rate limit has counted it already.

    Raises PeerError 404, 405 (with Allow) and 501, and the errors of the handler.
    """
    path = request.path
    routes = _remembered(path) if len(path) <= REMEMBERED_LENGTH else _find(path)
    if request.method not in routes:
        raise _no_route(request)
    handler, name = routes[request.method]
    return handler(Call(request, services, name, is_counted))


def allowed_methods(path: str) -> str:
    """The value of Allow (RFC 9110 section 10.2.1) for the path; "" if no route has it."""
    found = _find(path)
    return ", ".join(sorted({*found, "OPTIONS"})) if found else ""


def _no_route(request: Request) -> PeerError:
    allow = allowed_methods(request.path)
    if not allow:
        return PeerError(404, f"there is no resource at {request.path!r}")
    if request.method not in KNOWN_METHODS:
        return PeerError(
            501,
            f"method {request.method} is not implemented; this resource allows {allow}",
            {"Allow": allow},
        )
    return PeerError(
        405,
        f"method {request.method} is not allowed here; this resource allows {allow}",
        {"Allow": allow},
    )
