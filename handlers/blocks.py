"""Whom a person does not want to hear from."""

from sanic import Request
from sanic.response import HTTPResponse

from accounts.mobile_numbers import canonical_mobile
from accounts.tokens import Claims
from delivery.rate_limits import lookups
from handlers.authentication import authenticated
from handlers.queries import query_mobile
from handlers.requests import BlockOrder, body
from handlers.responses import success
from handlers.services import services


@authenticated
async def block(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /block-action/block``: from this answer on, nothing of that person's is newly handed over."""
    mine, order = services(request), body(request, BlockOrder)
    mobile = canonical_mobile(order.blocked_user_mobile_no, mine.settings.default_region)
    await mine.limits.take(lookups(mine.settings), claims.mobile)  # the answer tells whether there is an account
    await mine.blocks.block(claims.mobile, mobile)
    return success("User blocked successfully")


@authenticated
async def unblock(request: Request, claims: Claims) -> HTTPResponse:
    """``DELETE /block-action/unblock?mobileNo=``."""
    mine, mobile = services(request), query_mobile(request)
    await mine.limits.take(lookups(mine.settings), claims.mobile)
    await mine.blocks.unblock(claims.mobile, mobile)
    return success("User unblocked successfully")


@authenticated
async def listing(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /block-action/list``: the latest last."""
    people = await services(request).blocks.list(claims.mobile)
    return success(data=[{"username": person.name, "mobileNo": person.mobile} for person in people])
