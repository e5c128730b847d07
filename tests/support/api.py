"""The HTTP side alone, on a real port, with real PostgreSQL and Redis; what would be asked of delivery is recorded."""

import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
from sanic.models.handler_types import RouteHandler
from tortoise.contrib.sanic import register_tortoise

import handlers
from accounts.blocks import Blocks
from accounts.departures import Departures, LeftNumber
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.number_change import NumberChanges
from accounts.password_changes import PasswordChanges
from accounts.passwords import Passwords
from accounts.privacy import PrivacySettings
from accounts.profiles import Profiles
from accounts.rules import Rules
from accounts.session_ends import ClosedSession
from accounts.sessions import Sessions
from accounts.tokens import Tokens
from delivery.codes import Codes
from delivery.departures import NumberClearing
from delivery.devices import Devices
from delivery.expiry import Expiry
from delivery.held import Held
from delivery.login_attempts import LoginAttempts
from delivery.mailbox import Mailbox
from delivery.rate_limits import RateLimits, Refreshes, Upgrades
from delivery.redis.access import KeyValues
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from handlers.readiness import Check
from handlers.services import Services
from models import EventKind
from protocol.errors import ApiError
from server.application import MiniSanic, make_app
from server.cors import add_cors
from settings import Settings
from settings.database import tortoise_orm
from tests.support.people import NO_TLS

PASSWORD = "correct horse"


def make_settings(redis_url: str, database_url: str, **changes: Any) -> Settings:
    """Settings for tests: cheap hashes, a fresh secret, no rate limits: everybody comes from 127.0.0.1."""
    fresh = {"redis_url": redis_url, "database_url": database_url, "jwt_secret": secrets.token_urlsafe(48)}
    return Settings(**{**fresh, "bcrypt_rounds": 4, "rate_limits": "off", **changes})


class NotedPresence:
    """Says what a test put in."""

    def __init__(self) -> None:
        self.seen: dict[str, int | Literal["online"]] = {}
        self.asked: list[tuple[str, str]] = []

    async def last_seen(self, mobile: str, asker: str) -> int | Literal["online"] | None:
        self.asked.append((mobile, asker))
        return self.seen.get(mobile)


class FakeReadiness:
    """Reports what a test put in."""

    def __init__(self) -> None:
        self.checks = {"redis": Check(), "postgresql": Check(), "memory": Check(needed=False)}

    async def check(self) -> dict[str, Check]:
        return self.checks


@dataclass
class Notes:
    """What was asked of delivery, and what delivery answers."""

    presence: NotedPresence = field(default_factory=NotedPresence)
    readiness: FakeReadiness = field(default_factory=FakeReadiness)
    changes: list[tuple[str, Rules]] = field(default_factory=list)
    closed: list[ClosedSession] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    codes: list[tuple[str, str]] = field(default_factory=list)
    fail: ApiError | None = None

    async def changed(self, mobile: str, rules: Rules) -> None:
        if self.fail is not None:
            raise self.fail
        self.changes.append((mobile, rules))

    @property
    def blocks(self) -> list[tuple[int, list[str]]]:
        """Each version that was passed on, and who was blocked at it."""
        return [(rules.blocks_version, list(rules.blocked)) for _, rules in self.changes]

    async def send_code(self, mobile: str, code: str, _expires_at: datetime) -> None:
        if self.fail is not None:
            raise self.fail
        self.codes.append((mobile, code))

    async def closing(self, sessions: Sequence[ClosedSession]) -> None:
        if self.fail is not None:
            raise self.fail
        self.closed += sessions

    async def moving(self, session_id: str) -> None:
        self.moved.append(session_id)


@dataclass
class Api:
    """A running server and a client of it."""

    app: MiniSanic
    services: Services
    client: httpx.AsyncClient
    port: int
    notes: Notes

    async def sign_up(self, mobile: str, name: str = "Somebody") -> str:
        """The account's id."""
        form = {"name": name, "mobileNo": mobile, "password": PASSWORD}
        return str((await self.client.post("/auth/signin", json=form)).raise_for_status().json()["id"])

    async def login(self, mobile: str, **more: Any) -> dict[str, str]:
        """Headers of somebody logged in."""
        form = {"mobileNo": mobile, "password": PASSWORD, **more}
        answer = (await self.client.post("/auth/login", json=form)).raise_for_status().json()
        return {"Authorization": f"Bearer {answer['token']}"}

    async def person(self, mobile: str, name: str = "Somebody") -> dict[str, str]:
        """Headers of somebody who signed up and logged in."""
        await self.sign_up(mobile, name)
        return await self.login(mobile)


def _services(settings: Settings, link: RedisClient, notes: Notes) -> Services:
    limits = RateLimits(link, on=settings.rate_limits == "on")
    passwords = Passwords(settings.bcrypt_rounds, settings.bcrypt_threads, settings.bcrypt_waiting)
    keys = settings.jwt_secret.get_secret_value(), settings.jwt_previous_secret.get_secret_value()
    directory, events = Directory(passwords, settings.linked_seconds), SessionEvents(settings.event_buffer, "server-1")
    sessions = Sessions(KeyValues(link, link), settings, notes.closing)

    def note_limited(mobile: str, device_id: str) -> None:
        events.add(Event(EventKind.LIMITED, mobile, device_id=device_id, reason="login"))

    users = UserRecords(link, directory.person)

    async def end_sessions(left: LeftNumber) -> None:
        await sessions.announce([ClosedSession(one, left.account_id, left.mobile, "") for one in left.sessions])

    clearing = NumberClearing(link, users, Expiry(Mailbox(link, users, settings), users))
    departures = Departures(clearing, end_sessions)
    return Services(
        settings=settings,
        passwords=passwords,
        directory=directory,
        tokens=Tokens(*keys, settings.token_hours),
        sessions=sessions,
        password_changes=PasswordChanges(directory, passwords, sessions, events),
        blocks=Blocks(notes.changed, settings.max_blocks),
        profiles=Profiles(),
        privacy=PrivacySettings(notes.changed),
        departures=departures,
        held=Held(link, users),
        number_changes=NumberChanges(departures, settings, events, notes.moving),
        devices=Devices(link, users),
        events=events,
        presence=notes.presence,
        messaging=None,
        hub=None,
        readiness=notes.readiness,
        limits=limits,
        codes=Codes(link, limits, settings, None if settings.signup_code == "off" else notes.send_code),
        logins=LoginAttempts(link, limits, settings, note_limited),
        upgrades=Upgrades(settings),
        refreshes=Refreshes(settings),
    )


@asynccontextmanager
async def serve(settings: Settings, more: Mapping[str, RouteHandler] | None = None) -> AsyncIterator[Api]:
    """The routes of ``handlers`` on 127.0.0.1, and ``more`` of the test's own, by path."""
    app = make_app(f"api-{secrets.token_hex(4)}", settings)
    handlers.register(app)
    add_cors(app, settings.origins)
    for path, handler in (more or {}).items():
        app.add_route(handler, path)
    register_tortoise(app, config=tortoise_orm(settings.database_url))
    link = RedisClient(settings)
    notes = Notes()
    app.ctx.services = _services(settings, link, notes)
    # To Sanic, port 0 is none given.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = await app.create_server(sock=listener, return_asyncio_server=True)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.start_serving()
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15, verify=NO_TLS)
    try:
        yield Api(app, app.ctx.services, client, port, notes)
    finally:
        await client.aclose()
        await server.before_stop()
        await server.close()
        await server.after_stop()
        app.ctx.services.passwords.close()
        await link.close()
