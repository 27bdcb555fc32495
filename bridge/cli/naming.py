"""How this program is called by whoever reads what we print or type: from any folder, and with the broker that we mean."""

from __future__ import annotations

import os
import re

from bridge.settings import ClientSettings

WORD = re.compile(r"[A-Za-z0-9:/._-]+")  # what no shell reads as anything but itself


def own_words() -> str:
    """`python3 -m bridge`, or the archive that we run from."""
    archive = getattr(__loader__, "archive", None)  # zipimport's: we run from bridge.pyz
    path = os.path.abspath(archive) if archive else ""
    return f"python3 {path}" if WORD.fullmatch(path) else "python3 -m bridge"


def broker_words(url: str) -> str:
    """The flag that names the broker; "" for the default one."""
    return f" --broker-url {url}" if url != ClientSettings.broker_url and WORD.fullmatch(url) else ""
