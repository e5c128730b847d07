"""The end of an account, and another number for it."""

from sanic import Request
from sanic.response import HTTPResponse

from accounts.mobile_numbers import new_mobile
from accounts.passwords import fits
from accounts.tokens import Claims
from delivery.rate_limits import number_changes, own_account
from handlers.answers import Done
from handlers.auth import counted, logged_in
from handlers.authentication import authenticated
from handlers.lookups import take_lookups
from handlers.requests import Deletion, NumberChange, body, invalid_field
from handlers.responses import success
from handlers.services import services
from server.addresses import network_of


@authenticated
async def delete_me(request: Request, claims: Claims) -> HTTPResponse:
    """``DELETE /v1/me``: the account and everything that is held about the person goes; the number becomes free."""
    mine, form = services(request), body(request, Deletion)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    await confirm_password(request, claims, form.password)
    await mine.departures.delete(claims.account_id, claims.mobile)
    return success(Done(message="account deleted"))


@authenticated
async def change_number(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /v1/me/number``: the old number is left, and says nothing of the new one. All sessions end but this one,
    which gets new tokens: the old ones carry the old number."""
    mine, form = services(request), body(request, NumberChange)
    mobile = new_mobile(form.mobile_no, mine.settings.default_region)
    if mobile == claims.mobile:
        raise invalid_field("mobileNo", "mobileNo is the number that this account has")
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    await take_lookups(request, claims)  # the answer reveals whether the number has an account
    await confirm_password(request, claims, form.password)
    async with mine.codes.proven(mobile, form.code, network_of(request.client_ip)):
        await mine.limits.take(number_changes(mine.settings), claims.account_id)
        grant = await mine.number_changes.change(claims, mobile)
    return success(logged_in(mine, grant, "number changed"))


async def confirm_password(request: Request, claims: Claims, password: str) -> None:
    """Return if this is the password of the person who is logged in. It counts as a log-in does.

    :raises ApiError: ``password_wrong``, ``bad_request``, ``rate_limited``, ``busy``, ``session_revoked``,
        ``unavailable``
    """
    mine = services(request)
    if not fits(password):
        raise invalid_field("password")
    attempt = await mine.logins.admit(claims.mobile, claims.device_id, network_of(request.client_ip))
    async with counted(mine.logins, attempt) as standing:
        await mine.directory.confirm(claims.account_id, password, standing)
