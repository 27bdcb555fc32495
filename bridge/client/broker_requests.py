"""One request to a broker, and the check of its answer. BrokerClient has a method for each.

    request ─► Answer ─► Refused, unless 2xx
                  └─► a JSON object or a JSON list, else ConnectionLost

A client that receives for a watcher sends the watcher's name with its requests. The broker
then ends what that watcher subscribed together with the watcher.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

from bridge.client.http import Answer, HttpClient, Query, check
from bridge.errors import ConnectionLost
from bridge.settings import ClientSettings

Json = Mapping[str, Any]
Client = TypeVar("Client", bound="BrokerRequests")


class BrokerRequests:
    """Requests to one broker, with checked answers."""

    def __init__(self, settings: ClientSettings) -> None:
        self._http = HttpClient(settings)
        self.watcher: str | None = None  # the watcher that receives through this client

    @property
    def url(self) -> str:
        return str(self._http.address)

    async def __aenter__(self: Client) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Query | None = None,
        wait: float = 0.0,
        again: bool | None = None,
    ) -> Answer:
        """Make one request. Raises Refused unless the answer is 2xx."""
        return check(await self._http.request(method, path, body, query, wait, again))

    def _named(self, fields: Json) -> Json:
        return fields if self.watcher is None else {**fields, "watcher": self.watcher}

    def _object(self, answer: Answer) -> Json:
        if not isinstance(answer.json, dict):
            raise ConnectionLost(
                f"{self.url} answered with something else than a JSON object; "
                "is it a bridge broker?"
            )
        return answer.json

    def _list(self, answer: Answer) -> list[Any]:
        if not isinstance(answer.json, list):
            raise ConnectionLost(
                f"{self.url} answered with something else than a JSON list; is it a bridge broker?"
            )
        return answer.json


def next_after(link: str) -> str | None:
    """The cursor of the next page, from a Link field with rel="next" (RFC 8288).

    None on the last page.
    """
    found = re.search(r'<[^>?]*\?([^>]*)>\s*;\s*rel="?next"?', link)
    return parse_qs(found[1]).get("after", [None])[0] if found else None
