"""Codes that show whose a number is, and the password that is set with one."""

from sanic import Request
from sanic.response import HTTPResponse

from accounts.mobile_numbers import canonical_mobile
from accounts.password_rules import check_new_password
from accounts.passwords import Standing
from handlers.answers import CodeSent, Done
from handlers.requests import CodeRequest, Reset, body
from handlers.responses import success
from handlers.services import services
from protocol.errors import ApiError
from server.addresses import network_of


async def send_code(request: Request) -> HTTPResponse:
    """``POST /v1/codes``: the answer is the same whether the number has an account or not."""
    mine, form = services(request), body(request, CodeRequest)
    mobile = canonical_mobile(form.mobile_no, mine.settings.default_region)
    seconds = await mine.codes.send(mobile, network_of(request.client_ip))
    return success(CodeSent(expires_in=seconds))


async def reset_password(request: Request) -> HTTPResponse:
    """``POST /auth/reset``: with a code, for somebody who has forgotten their password. All their sessions end."""
    mine, form = services(request), body(request, Reset)
    if not mine.codes.on:
        raise ApiError("codes_off")
    mobile = canonical_mobile(form.mobile_no, mine.settings.default_region)
    check_new_password(form.new_password, mobile, "newPassword")
    async with mine.codes.proven(mobile, form.code, network_of(request.client_ip)):
        await mine.password_changes.reset(mobile, form.new_password, Standing(known=False))
    return success(Done(message="password reset"))
