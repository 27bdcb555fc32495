"""GET /backup: a copy of the store as it is now, made while the broker runs.

The bytes go to the client, and the client writes the file. The broker writes to no path that a
caller names. There is one copy at a time: each needs as much disk space as the store.
"""

from __future__ import annotations

from functools import partial

from bridge.broker.answers import SQLITE, Answer, Download, Wait
from bridge.broker.call import Call
from bridge.broker.journal.backup import StoreCopy
from bridge.errors import Reason, RequestError

COPY_MAX = 3600.0  # seconds that a copy may take: the WAL grows meanwhile


def backup(call: Call) -> Answer:
    copy = call.services.journal.copy()
    if copy is None:
        raise RequestError(Reason.CONFLICT, "this broker keeps nothing on disk (--db :memory:)")
    return Wait(copy.join, COPY_MAX, partial(_download, copy))


def _download(copy: StoreCopy) -> Download:
    error = copy.result()
    if error is not None:
        detail = f"no copy of the store was made: {error}"
        raise RequestError(Reason.STORE, detail, retry_after=5)
    return Download(SQLITE, copy.size, copy.read, copy.close)
