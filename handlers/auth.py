"""Sign up, log in, log out, and tickets for sockets."""

from sanic import Request
from sanic.response import HTTPResponse

from accounts.entrance import Credentials, log_in, log_out
from accounts.numbers import canonical_mobile, new_mobile
from accounts.password_forms import normalised
from accounts.passwords import fits
from accounts.tokens import Claims
from handlers.answers import rfc3339, success
from handlers.bodies import SHORTEST_PASSWORD, Login, SignUp, body, display_name, misfit
from handlers.guards import authenticated
from handlers.services import services
from protocol.identifiers import PRIMARY, check_device
from protocol.text import is_plain


async def sign_up(request: Request) -> HTTPResponse:
    """``POST /auth/signin``: this is sign-up; the original named it so."""
    mine, form = services(request), body(request, SignUp)
    mobile = new_mobile(form.mobile_no, mine.settings.default_region)
    name = display_name(form.name)
    if not fits(form.password) or len(normalised(form.password)) < SHORTEST_PASSWORD:
        raise misfit("password")
    user = await mine.directory.enrol(name, mobile, form.password)
    return success("account created successfully", id=str(user.id))


async def login(request: Request) -> HTTPResponse:
    """``POST /auth/login``."""
    mine, form = services(request), body(request, Login)
    mobile = canonical_mobile(form.mobile_no, mine.settings.default_region)
    device = check_device(PRIMARY if form.device_id is None else form.device_id)
    if not fits(form.password):
        raise misfit("password")
    if not is_plain(form.device_name or ""):
        raise misfit("deviceName")
    given = Credentials(mobile, form.password, device, form.device_name or "")
    user, session = await log_in(mine.directory, mine.sessions, mine.events, given)
    return success(
        "login successful",
        token=mine.tokens.issue(user, session),
        expiresAt=rfc3339(session.expires_at),
        id=str(user.id),
        name=user.name,
        mobileNo=user.mobile_no,
        deviceId=device,
    )


@authenticated
async def logout(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /auth/logout``: the token stops working and its sockets close."""
    mine = services(request)
    await log_out(mine.sessions, mine.events, claims)
    return success("logout successful")


@authenticated
async def ticket(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /v1/tickets``."""
    mine = services(request)
    secret = await mine.sessions.issue_ticket(claims)
    return success("ticket issued", ticket=secret, expiresIn=mine.settings.ticket_seconds)
