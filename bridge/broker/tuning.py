"""What the broker sets once for its process, and for each accepted socket.

Rule 1: each setting is here for a reason that was measured or is documented.
Rule 2: none is needed to be correct. If the platform refuses one, the broker runs without it.
"""

from __future__ import annotations

import gc
import logging
import resource
import socket
import sys

log = logging.getLogger("bridge.broker")

# (option, value) of SO_KEEPALIVE's probes, where the platform has them: the first after 60 s,
# then 3 at intervals of 15 s.
PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))


def set_probes(peer: socket.socket | None) -> None:
    """Have the kernel find out that a silent peer is gone (tcp(7))."""
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in PROBES:
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError as error:  # the peer is gone already
        log.debug("keep-alive probes not set error=%s", error)


def calm_collector() -> None:
    """Run the cyclic garbage collector less often.

    Tickets are not in cycles, and a full pass over a large backlog is a long pause.
    """
    gc.freeze()
    gc.set_threshold(20000, 50, 50)


def share_the_interpreter() -> None:
    """Let the writer thread take the GIL from a busy loop sooner.

    The writer needs the GIL some ten times a commit. While streams were catching up, a send took
    400 ms with Python's interval of 5 ms, and 20 ms with this one.
    """
    sys.setswitchinterval(0.0005)


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one: each stream is a descriptor, and 1024 are usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:  # macOS allows less than its hard limit
            log.debug("descriptor limit not raised error=%s", error)
