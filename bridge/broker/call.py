"""What a handler gets: one value, so that a handler's signature never changes.

request     as the HTTP front parsed it
services    all that a handler may use
name        the id in the path; "" where the route has none.
is_counted  a rate limit has counted the request; then its change lost a race.
"""

from __future__ import annotations

from bridge.broker.services import Services
from bridge.wire.request import Request


class Call:
    """One request to one handler.

    Hot: once per request. A NamedTuple takes half as long again to make.
    """

    __slots__ = ("request", "services", "name", "is_counted")

    def __init__(
        self, request: Request, services: Services, name: str, is_counted: bool = False
    ) -> None:
        self.request, self.services, self.name = request, services, name
        self.is_counted = is_counted
