"""What people may see of each other."""

from msgspec import UNSET
from sanic import Request
from sanic.response import HTTPResponse

from accounts.tokens import Claims
from handlers.answers import LastSeen, SeenPerson
from handlers.authentication import authenticated
from handlers.lookups import take_lookups
from handlers.requests import query_mobile
from handlers.responses import rfc3339, success
from handlers.services import services
from protocol.errors import ApiError


@authenticated
async def last_seen(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /profile/lastseen?mobileNo=``.

    ``lastSeen`` is absent when the person was never online, or hides it. Somebody whom they blocked is told what was so
    at that moment (delivery/policy.py).
    """
    mine, mobile = services(request), query_mobile(request)
    await take_lookups(request, claims)
    person = await mine.directory.find(mobile)
    if person is None:
        raise ApiError("no_such_person")
    seen = await mine.presence.last_seen(mobile, claims.mobile)
    shown = UNSET if seen is None else rfc3339(seen) if isinstance(seen, int) else seen
    return success(LastSeen(data=SeenPerson(username=person.name, mobile_no=mobile, last_seen=shown)))
