"""The broker at the clients' URL, and the proxies between it and us.

The event stream is tried as a watcher would. It is the shared stream, under a name without
subscriptions. So no agent looks online because of it, and no ticket is sent to it.
A proxy that holds back the first comment, or even the response's head, buffers.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Callable, TypeVar

from bridge import __version__
from bridge.client.http import Answer, HttpClient, check
from bridge.doctor.finding import Finding, Setup, fail, ok, warn
from bridge.errors import BrokerUnreachable, Refused, UsageError
from bridge.tasks import within

T = TypeVar("T")
NOBODY = "bridge-doctor"  # a subscriber's name
# Fields that only an intermediary adds (RFC 9110 section 7.6.3).
TRACES = ("via", "x-cache", "cf-ray", "x-served-by")
_BUILD = re.compile(r'^bridge_build_info\{(?:[^}\n]*,)?version="([^"]{1,64})"[^}\n]*\} 1$', re.M)
START = (
    "start one (python3 -m bridge broker), or name the right one with --broker-url "
    "or BRIDGE_BROKER_URL"
)
UNBUFFER = (
    "nginx: proxy_buffering off, and let X-Accel-Buffering pass; haproxy: option http-no-delay; "
    "until then watchers use long-polls"
)


def ask(setup: Setup, question: Callable[[HttpClient], Awaitable[T]]) -> T:
    """Run one conversation. An answer has half the time that the check has."""
    limit = max(10, setup.doctor.check_deadline // 2)
    settings = replace(
        setup.client,
        request_timeout=min(limit, setup.client.request_timeout),
        connect_timeout=min(limit, setup.client.connect_timeout),
    )

    async def conversation() -> T:
        client = HttpClient(settings)
        try:
            return await question(client)
        finally:
            await client.aclose()

    return asyncio.run(conversation())


def get(setup: Setup, path: str) -> Answer:
    return ask(setup, lambda client: client.request("GET", path))


def reachable(setup: Setup) -> Finding:
    url, begin = setup.client.broker_url, time.monotonic()
    try:
        answer = check(get(setup, "/health"))
    except UsageError as error:
        return fail(str(error), "correct --broker-url or BRIDGE_BROKER_URL")
    except BrokerUnreachable as error:
        return fail(str(error).partition("; ")[0], START)
    except Refused as error:
        return fail(
            f"{url} answers {error.status} to GET /health: {error}",
            REFUSED.get(error.status, "check whether a broker is there: " + START),
        )
    if not isinstance(answer.json, dict) or answer.json.get("status") != "ok":
        return fail(f"{url} answers, but not as a broker does", "check what is there: " + START)
    took = (time.monotonic() - begin) * 1000
    agents, tickets = answer.json.get("agents", "?"), answer.json.get("tickets", "?")
    return ok(f"{url} answered in {took:.0f} ms; {agents} agents, {tickets} pending tickets")


REFUSED = {
    401: "something in between asks for a password: bridge's clients send none",
    403: "something in between refuses: bridge's clients send no Origin",
    421: (
        "the broker does not accept that host name: add it with --allowed-hosts, "
        "or use a name that the broker accepts"
    ),
}


def version(setup: Setup) -> Finding:
    answer = get(setup, "/metrics")
    if answer.status == 404:
        return warn(
            "the predecessor's broker (it has no /metrics): no event streams, no long-poll, "
            "no claims",
            "it works by polling; python3 -m bridge broker pushes",
        )
    match = _BUILD.search(answer.body.decode("utf-8", "replace"))
    if answer.status != 200 or match is None:
        return warn(
            f"/metrics ({answer.status}) does not report a bridge version",
            "check what answers at the URL, and whether a proxy blocks /metrics",
        )
    if match[1] != __version__:
        return warn(
            f"the broker is bridge {match[1]}, this is {__version__}",
            "install the same bridge on both sides, and start the broker again",
        )
    return ok(f"bridge {match[1]}, as this one")


def proxy(setup: Setup) -> Finding:
    fields = get(setup, "/health").fields
    # Our broker sends none of these fields.
    seen = [f"{name}: {fields[name]}" for name in (*TRACES, "server") if fields.get(name)]
    if not seen:
        return ok("no sign of one")
    return ok(
        f"there is one ({', '.join(seen)}); its read timeout must be longer than the heartbeat, "
        f"{setup.watcher.sse_heartbeat / 1000:g} s"
    )


def stream(setup: Setup) -> Finding:
    begin = time.monotonic()
    try:
        ask(setup, lambda client: first_comment(client, setup.watcher.first_byte / 1000))
    except asyncio.TimeoutError:
        return warn(
            f"nothing of the event stream came within {setup.watcher.first_byte} ms: "
            "something in between buffers it",
            UNBUFFER,
        )
    except Refused as error:
        return stream_refused(error)
    except BrokerUnreachable as error:  # also: no event stream, broken off
        return fail(
            f"no event stream: {error}",
            "check what is between here and the broker, and whether it passes text/event-stream",
        )
    return ok(
        f"the first comment came after {(time.monotonic() - begin) * 1000:.0f} ms: nothing buffers"
    )


async def first_comment(client: HttpClient, seconds: float) -> None:
    """Raises asyncio.TimeoutError when no byte of a body comes in time, the head included."""

    async def attempt() -> None:
        opened = await client.open_stream("/tickets/stream", query={"subscriber": NOBODY})
        try:
            await opened.read_events(seconds)
        finally:
            await opened.aclose()

    await within(seconds, attempt())


def stream_refused(error: Refused) -> Finding:
    if error.status == 404:
        return warn(
            "this broker has no event streams (404): watchers poll",
            "run this project's broker there; it pushes",
        )
    if error.status == 503:
        return warn(
            f"event streams are refused (503): {error}",
            "start the broker without DISABLE_SSE; until then watchers use long-polls",
        )
    return fail(
        f"event streams are refused ({error.status}): {error}",
        "check what is between here and the broker",
    )


def clock(setup: Setup) -> Finding:
    before = time.time()
    field = get(setup, "/health").fields.get("date", "")
    ours = (before + time.time()) / 2
    try:
        # Date has whole seconds (RFC 9110 section 5.6.7). We take the middle of the second.
        theirs = parsedate_to_datetime(field).timestamp() + 0.5
    except (TypeError, ValueError):
        return warn(
            "the answer has no readable Date",
            "nothing to do, unless times in histories look wrong",
        )
    apart = ours - theirs
    if abs(apart) * 1000 > setup.doctor.clock_apart:
        side = "behind" if apart > 0 else "ahead of"
        return warn(
            f"the broker's clock is {abs(apart):.0f} s {side} ours",
            "set both clocks by NTP (timedatectl set-ntp true); delivery works all the same",
        )
    return ok(f"within {max(1, round(abs(apart)))} s of the broker's")
