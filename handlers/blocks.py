"""Blocking people."""

from sanic import Request
from sanic.response import HTTPResponse

from accounts.mobile_numbers import canonical_mobile
from accounts.tokens import Claims
from handlers.answers import BlockList, Done, NamedPerson
from handlers.authentication import authenticated
from handlers.lookups import take_lookups
from handlers.requests import BlockRequest, body, query_mobile
from handlers.responses import success
from handlers.services import services


@authenticated
async def block(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /block-action/block``: after this response no chat of that person is delivered."""
    mine, form = services(request), body(request, BlockRequest)
    mobile = canonical_mobile(form.blocked_user_mobile_no, mine.settings.default_region)
    await take_lookups(request, claims)
    await mine.blocks.block(claims.mobile, mobile)
    return success(Done(message="User blocked successfully"))


@authenticated
async def unblock(request: Request, claims: Claims) -> HTTPResponse:
    """``DELETE /block-action/unblock?mobileNo=``."""
    mine, mobile = services(request), query_mobile(request)
    await take_lookups(request, claims)
    await mine.blocks.unblock(claims.mobile, mobile)
    return success(Done(message="User unblocked successfully"))


@authenticated
async def listing(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /block-action/list``, in the order of blocking."""
    people = await services(request).blocks.list(claims.mobile)
    return success(BlockList(data=[NamedPerson(username=person.name, mobile_no=person.mobile) for person in people]))
