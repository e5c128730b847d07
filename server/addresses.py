"""Which client an IP address stands for. With IPv6 a customer has a whole /64, and may use each address of it once."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

UNREADABLE: Final = "unreadable"
"""The network of everything that is no address: a trusted proxy may pass on anything."""


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The address itself, or the /64 of an IPv6 one; empty stays empty (a Unix socket has none)."""
    if not address:
        return ""
    try:
        found = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return UNREADABLE
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), 64), strict=False))


def forwarded_address(forwarded: Sequence[str], proxies: int) -> str | None:
    """The address of a client behind so many proxies, as Sanic's ``client_ip`` has it; None when they do not say it.

    :param forwarded: what X-Forwarded-For lists, without empty places
    :param proxies: 1 or more; so many entries at the end are trusted
    """
    address = forwarded[-proxies] if len(forwarded) >= proxies else "unknown"
    return None if address == "unknown" else address
