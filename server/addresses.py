"""Whom an IP address stands for: of IPv6 a customer has a whole /64, and may use each address of it once."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

UNREADABLE: Final = "unreadable"
"""All who come with what is no address: a proxy that is believed may pass on anything."""


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
