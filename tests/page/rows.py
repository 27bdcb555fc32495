"""Find rows of the page's list of tickets."""

from __future__ import annotations

import json


def row(ticket_id: str) -> str:
    """Return a JavaScript expression for the row of a ticket."""
    return f"document.querySelector({json.dumps(f'a[data-ticket={json.dumps(ticket_id)}]')})"


def wait_row(page, ticket_id: str, text: str) -> None:
    page.wait(f"({row(ticket_id)}?.textContent ?? '').includes({json.dumps(text)})")
