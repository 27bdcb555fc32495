"""What a handler gets: one value, so that a handler's signature never changes.

request     as the HTTP front parsed it
services    all that a handler may use
name        the id in the path; "" where the route has none
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.broker.services import Services
from bridge.wire.request import Request


class Call(NamedTuple):
    """One request to one handler."""

    request: Request
    services: Services
    name: str
