"""What a connection needs of its server: the seam between the fronts and server.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from bridge.broker.fronts.access_log import AccessLog
from bridge.broker.fronts.heartbeats import Heartbeats
from bridge.broker.fronts.held_bytes import HeldBytes
from bridge.broker.fronts.loop_budget import LoopBudget
from bridge.broker.fronts.origin_policy import OriginPolicy
from bridge.broker.services import Services
from bridge.wire.request import Limits, RequestStage


class ServerContext(Protocol):
    """The server, as a connection sees it."""

    services: Services
    origin_policy: OriginPolicy
    access_log: AccessLog
    heartbeats: Heartbeats
    budget: LoopBudget
    held: HeldBytes
    limits: Limits
    # The loop fills it and the connection reads it in one step, so all connections share it.
    receive_buffer: memoryview
    stage_timeouts: Mapping[RequestStage, float]  # seconds that a connection may be in a stage
    is_draining: bool
    connections: set[Any]  # open ones, of every front
    timed: set[Any]  # those with a deadline, which the sweep looks at
    # Connections that wait for bytes of their peers, longest first. Some may be answered by now.
    waiting: OrderedDict[Any, None]
