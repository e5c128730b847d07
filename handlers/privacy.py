"""What a person hides from others."""

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from accounts.tokens import Claims
from delivery.rate_limits import own_account
from handlers.answers import PrivacyAnswer, privacy_shown
from handlers.authentication import authenticated
from handlers.requests import PrivacyChange, body
from handlers.responses import success
from handlers.services import services
from protocol.privacy import Privacy

_SWITCHES = ("read_receipts", "stranger_receipts")


@authenticated
async def get_privacy(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /v1/privacy``."""
    mine = services(request)
    await mine.limits.take(own_account(mine.settings), claims.mobile)
    return _answer(await mine.privacy.get(claims.mobile))


@authenticated
async def change_privacy(request: Request, claims: Claims) -> HTTPResponse:
    """``PUT /v1/privacy``: after this response nobody is shown what is hidden."""
    mine, form = services(request), body(request, PrivacyChange)
    await mine.limits.take(own_account(mine.settings), claims.mobile)
    given = {name: value for name, value in msgspec.structs.asdict(form).items() if value is not msgspec.UNSET}
    changed = {name: value == "on" if name in _SWITCHES else value for name, value in given.items()}
    return _answer(await mine.privacy.change(claims.mobile, changed))


def _answer(privacy: Privacy) -> HTTPResponse:
    return success(PrivacyAnswer(data=privacy_shown(privacy)))
