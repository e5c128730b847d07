"""Sign up, log in, log out, and tickets for sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

from accounts.common_passwords import is_forbidden
from accounts.login import Credentials, log_in, log_out
from accounts.mobile_numbers import canonical_mobile, new_mobile
from accounts.passwords import Standing, fits, normalised
from accounts.tokens import Claims
from delivery.login_attempts import Attempt, LoginAttempts
from delivery.rate_limits import sign_ups
from handlers.answers import Done, LoggedIn, SignedUp, Ticket
from handlers.authentication import authenticated
from handlers.requests import MIN_PASSWORD_LENGTH, Login, SignUp, body, display_name, invalid_field
from handlers.responses import rfc3339, success
from handlers.services import services
from protocol.errors import ApiError
from protocol.identifiers import PRIMARY, check_device
from protocol.text import is_plain
from server.addresses import network_of

_FORBIDDEN: Final = (
    "password is too easy to guess: not your own number, one repeated character, or one of the commonest passwords"
)


async def sign_up(request: Request) -> HTTPResponse:
    """``POST /auth/signin``: this is sign-up; the original named it so."""
    mine, form = services(request), body(request, SignUp)
    mobile = new_mobile(form.mobile_no, mine.settings.default_region)
    name = display_name(form.name)
    if not fits(form.password) or len(normalised(form.password)) < MIN_PASSWORD_LENGTH:
        raise invalid_field("password")
    if is_forbidden(normalised(form.password), mobile):
        raise invalid_field("password", _FORBIDDEN)
    # Counts also when the number has an account already: the response reveals that.
    taken = await mine.limits.take(sign_ups(mine.settings), network_of(request.client_ip))
    standing = Standing(known=False, used=taken.in_use)
    user = await mine.directory.enrol(name, mobile, form.password, standing)
    return success(SignedUp(id=str(user.id)))


async def login(request: Request) -> HTTPResponse:
    """``POST /auth/login``."""
    mine, form = services(request), body(request, Login)
    mobile = canonical_mobile(form.mobile_no, mine.settings.default_region)
    device = check_device(PRIMARY if form.device_id is None else form.device_id)
    if not fits(form.password):
        raise invalid_field("password")
    if not is_plain(form.device_name or ""):
        raise invalid_field("deviceName")
    given = Credentials(mobile, form.password, device, form.device_name or "")
    attempt = await mine.logins.admit(mobile, device, network_of(request.client_ip))
    async with counted(mine.logins, attempt) as standing:
        user, session = await log_in(mine.directory, mine.sessions, mine.events, given, standing)
    return success(
        LoggedIn(
            token=mine.tokens.issue(user, session),
            expires_at=rfc3339(session.expires_at),
            id=str(user.id),
            name=user.name,
            mobile_no=user.mobile_no,
            device_id=device,
        )
    )


@authenticated
async def logout(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /auth/logout``: the token stops working and its sockets close."""
    mine = services(request)
    await log_out(mine.sessions, mine.events, claims)
    return success(Done(message="logout successful"))


@authenticated
async def ticket(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /v1/tickets``."""
    mine = services(request)
    secret = await mine.sessions.issue_ticket(claims)
    return success(Ticket(ticket=secret, expires_in=mine.settings.ticket_seconds))


@asynccontextmanager
async def counted(logins: LoginAttempts, attempt: Attempt) -> AsyncIterator[Standing]:
    """A password is checked within this; the outcome counts for the limits of log-ins."""
    try:
        yield Standing(attempt.known, attempt.used)
    except ApiError as error:
        if error.code == "too_many_devices":  # the password was right
            logins.succeeded(attempt)
        elif error.code not in {"credentials_wrong", "password_wrong"}:
            logins.undecided(attempt)
        raise
    logins.succeeded(attempt)
