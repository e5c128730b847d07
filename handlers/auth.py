"""Sign up, log in, refresh, log out, change the password, and tickets for sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sanic import Request
from sanic.response import HTTPResponse

from accounts import login as accounts_login
from accounts.login import Credentials, log_in, log_out, log_out_everywhere
from accounts.mobile_numbers import canonical_mobile, new_mobile
from accounts.password_rules import check_new_password
from accounts.passwords import Standing, fits
from accounts.session_opening import Grant
from accounts.tokens import Claims
from delivery.login_attempts import Attempt, LoginAttempts
from delivery.rate_limits import own_account, sign_ups
from handlers.answers import Done, LoggedIn, LoggedOut, SignedUp, Ticket
from handlers.authentication import authenticated
from handlers.devices import naming_devices, wait_until_replaced
from handlers.requests import (
    EverywhereQuery,
    Login,
    PasswordChange,
    Refresh,
    SignUp,
    body,
    display_name,
    invalid_field,
    query,
)
from handlers.responses import rfc3339, success
from handlers.services import Services, services
from protocol.errors import ApiError
from protocol.identifiers import PRIMARY, check_device
from protocol.text import is_plain
from server.addresses import network_of


async def sign_up(request: Request) -> HTTPResponse:
    """``POST /auth/signin``: this is sign-up; the original named it so."""
    mine, form = services(request), body(request, SignUp)
    mobile = new_mobile(form.mobile_no, mine.settings.default_region)
    name = display_name(form.name)
    check_new_password(form.password, mobile)
    address = network_of(request.client_ip)
    async with mine.codes.proven(mobile, form.code, address):
        # Counts also when the number has an account already: the response reveals that.
        taken = await mine.limits.take(sign_ups(mine.settings), address)
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
    replaced = None if form.replace_device_id is None else check_device(form.replace_device_id)
    given = Credentials(mobile, form.password, device, form.device_name or "", replaced)
    attempt = await mine.logins.admit(mobile, device, network_of(request.client_ip))
    async with naming_devices(mine), counted(mine.logins, attempt) as standing:
        opened = await log_in(mine.directory, mine.sessions, mine.events, given, standing)
    if opened.replaced:
        await wait_until_replaced(mine, mobile, opened.replaced[0].device_id)
    return success(logged_in(mine, opened.grant, "login successful"))


async def refresh(request: Request) -> HTTPResponse:
    """``POST /auth/refresh``: a new token and a new refresh token for the same session."""
    mine = services(request)
    mine.refreshes.admit(network_of(request.client_ip))
    given = body(request, Refresh).refresh_token
    async with naming_devices(mine):
        grant = await accounts_login.refresh(mine.sessions, mine.events, given, mine.refreshes.enter)
    return success(logged_in(mine, grant, "refresh successful"))


def logged_in(mine: Services, grant: Grant, message: str) -> LoggedIn:
    """The answer that gives a client its tokens."""
    token, expires_at = mine.tokens.issue(grant)
    return LoggedIn(
        message=message,
        token=token,
        expires_at=rfc3339(expires_at * 1000),
        id=grant.account_id,
        name=grant.name,
        mobile_no=grant.mobile,
        device_id=grant.device_id,
        refresh_token=grant.refresh_token,
        refresh_expires_at=rfc3339(grant.expires_at),
    )


@authenticated
async def logout(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /auth/logout``: the token stops working and its sockets close."""
    mine = services(request)
    await log_out(mine.sessions, mine.events, claims)
    return success(Done(message="logout successful"))


@authenticated
async def logout_everywhere(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /auth/logout-everywhere``: all sessions but this one end; with ``?all=true`` this one, too."""
    mine, this_too = services(request), query(request, EverywhereQuery).all
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    ended = await log_out_everywhere(mine.sessions, mine.events, claims, this_too=this_too)
    return success(LoggedOut(message="logged out everywhere", ended=len(ended)))


@authenticated
async def change_password(request: Request, claims: Claims) -> HTTPResponse:
    """``POST /auth/password``: all other sessions end. The current password counts as a log-in does."""
    mine, form = services(request), body(request, PasswordChange)
    if not fits(form.current_password):
        raise invalid_field("currentPassword")
    check_new_password(form.new_password, claims.mobile, "newPassword")
    attempt = await mine.logins.admit(claims.mobile, claims.device_id, network_of(request.client_ip))
    async with counted(mine.logins, attempt) as standing:
        await mine.password_changes.change(claims, form.current_password, form.new_password, standing)
    return success(Done(message="password changed"))


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
