"""Questions about numbers cost the person who asks, and the address they ask from."""

from typing import Final

from sanic import Request

from accounts.tokens import Claims
from delivery.rate_limits import address_lookups, lookups
from handlers.services import services
from server.addresses import network_of
from settings import Settings

MAX_LOOKED_UP: Final = 100
"""Numbers in one request."""


def most_lookups(settings: Settings) -> int:
    """How many numbers one request may ask about: of more there are never as many tokens."""
    return min(MAX_LOOKED_UP, settings.lookups_burst, settings.lookups_per_address_burst)


async def take_lookups(request: Request, claims: Claims, count: int = 1) -> None:
    """Count a question about so many numbers. Its answer reveals which of them have an account.

    First of the person, then of the address: one whose own tokens are used up must not use up their neighbours'.

    :raises ApiError: ``rate_limited``
    """
    mine = services(request)
    await mine.limits.take(lookups(mine.settings), claims.mobile, count)
    await mine.limits.take(address_lookups(mine.settings), network_of(request.client_ip), count)
