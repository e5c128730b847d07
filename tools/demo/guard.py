"""Who may use the demo: its own page in a browser on this machine, and no page of another site.

The buttons kill processes, so a page that somebody else serves must not be able to press them or to read the feed, even
if it made its own name mean 127.0.0.1 (DNS rebinding).
"""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from protocol.errors import ApiError

HEADER: Final = "x-demo"
"""The page sends it with each press of a button. A page of another origin cannot without asking first (CORS)."""
_NAMES: Final = ("127.0.0.1", "localhost", "::1")


def admit(headers: Mapping[str, str], address: str, *, press: bool) -> None:
    """:param address: of the client
    :param press: a button, not only a look
    :raises ApiError: ``forbidden``
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    allowed = (
        ipaddress.ip_address(address).is_loopback
        and _name(host) in _NAMES
        and origin in (None, f"http://{host}")
        and headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        and (not press or headers.get(HEADER) == "1")
    )
    if not allowed:
        raise ApiError("forbidden")


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
