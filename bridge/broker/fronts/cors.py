"""What a browser on another origin may read.

Only an origin that a setting lists is allowed, never "*".
"""

from __future__ import annotations

from bridge.broker.answers import Response
from bridge.broker.fronts.origin_policy import OriginPolicy
from bridge.broker.routes import allowed_methods
from bridge.errors import PeerError
from bridge.wire.request import Request

EVERY_METHOD = "DELETE, GET, HEAD, OPTIONS, POST"  # OPTIONS * asks for the whole server


def cors_headers(request: Request, policy: OriginPolicy) -> tuple[tuple[str, str], ...]:
    """Header fields for the answer to a request that may come from a web page."""
    origin = request.fields.get("origin")
    if origin is None or not policy.allows(origin):
        return ()
    return (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))


def options_reply(request: Request) -> Response:
    """Answer OPTIONS, also a CORS preflight. Raises PeerError 404."""
    allow = EVERY_METHOD if request.path == "*" else allowed_methods(request.path)
    if not allow:
        raise PeerError(404, f"there is no resource at {request.path!r}")
    headers = [("Allow", allow)]
    if "origin" in request.fields:
        headers += [
            ("Access-Control-Allow-Methods", allow),
            ("Access-Control-Allow-Headers", "content-type, last-event-id"),
        ]
    return Response(204, headers=tuple(headers))
