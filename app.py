"""Builds the application: makes the parts of one server process and connects them. Only tools/demo imports this."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import structlog
from tortoise.contrib.sanic import register_tortoise

from accounts import database
from accounts.blocks import Blocks
from accounts.departures import Departures, LeftNumber
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.number_change import NumberChanges
from accounts.password_changes import PasswordChanges
from accounts.passwords import Passwords
from accounts.privacy import PrivacySettings
from accounts.profiles import Profiles
from accounts.session_ends import ClosedSession
from accounts.sessions import Sessions
from accounts.tokens import Tokens
from background.loops import forever
from delivery.codes import Codes, Send, log_code
from delivery.departures import NumberClearing
from delivery.expiry import Expiry
from delivery.held import Held
from delivery.hub import Hub
from delivery.login_attempts import LoginAttempts
from delivery.mailbox import Mailbox
from delivery.notifications import NotificationHandlers, Notifications
from delivery.presence import Presence
from delivery.rate_limits import RateLimits, Refreshes, Upgrades
from delivery.redis.access import RedisAccess
from delivery.redis.client import RedisClient
from delivery.redis.configuration import check_configuration
from delivery.send_limits import SendLimits
from delivery.servers import Servers
from delivery.session.connection import Identity, Messaging
from delivery.session_revocation import SessionRevocation
from delivery.storage import LOOK_SECONDS, Storage, UnfitRedis, refuse_cluster
from delivery.typing_relay import TypingRelay
from delivery.user_records import UserRecords
from delivery.watches import Watches
from handlers import register
from handlers.readiness import Readiness
from handlers.services import Services
from handlers.socket import register_socket
from models import EventKind
from server.application import MiniSanic, make_app
from server.cors import add_cors
from server.drain import add_drain
from settings import Settings, SettingsError, load
from settings.database import tortoise_orm

if TYPE_CHECKING:
    from delivery.webhooks import CodeWebhook

logger = structlog.get_logger(__name__)


def record_event(events: SessionEvents, kind: str, who: Identity, reason: str) -> None:
    """A connection began or ended: a session event, written in bulk."""
    events.add(Event(EventKind(kind), who.mobile, who.account_id, who.session_id, who.device_id, reason[:64]))


def record_limited(events: SessionEvents, mobile: str, device_id: str) -> None:
    """Log-ins to a number were limited: a session event, merged with others like it. Without the account, as for failed
    log-ins."""
    events.add(Event(EventKind.LIMITED, mobile, device_id=device_id, reason="login"))


class Container:
    """The parts of one server process. Connects to nothing before :meth:`start`."""

    def __init__(self, settings: Settings, server_id: str) -> None:
        self.settings = settings
        self._webhook: CodeWebhook | None = None
        self.redis = RedisAccess(settings)
        client, replicated = self.redis.client, self.redis.replicated
        self.hub = Hub(settings.lease_seconds, settings.cooldown_seconds)
        passwords = Passwords(settings.bcrypt_rounds, settings.bcrypt_threads, settings.bcrypt_waiting)
        directory = Directory(passwords, settings.linked_seconds)
        users = UserRecords(client, directory.person, replicated)
        limits = RateLimits(client, on=settings.rate_limits == "on")
        self.watches = Watches(client, users, limits, settings, server_id)
        self.servers = Servers(client, server_id, settings)
        handlers = NotificationHandlers(
            self.hub.notify,
            self.hub.replaced,
            self.hub.devices_changed,
            self.hub.close_sessions,
            self.hub.move_session,
            self._change_privacy,
            self.watches.changed,
            self.hub.typing,
            self._handle_resubscribed,
        )
        self.notifications = Notifications(client, server_id, settings, handlers)
        self.storage = Storage(client, settings)
        send_limits = SendLimits(settings, limits)
        mailbox = Mailbox(client, users, settings, server_id, replicated, self.storage, send_limits)
        presence = Presence(client, users, settings)
        self.events = SessionEvents(settings.event_buffer, server_id)
        self.revocation = SessionRevocation(self.hub, self.notifications, presence.devices)
        self.sessions = Sessions(self.redis.key_values, settings, self.revocation.announce)
        messaging = Messaging(
            settings=settings,
            server_id=server_id,
            mailbox=mailbox,
            presence=presence,
            users=users,
            notifications=self.notifications,
            servers=self.servers,
            hub=self.hub,
            watches=self.watches,
            typing=TypingRelay(client, users, self.hub, server_id),
            record=partial(record_event, self.events),
            hand_over=client.hand_over,
        )
        self.redis.call_before_writes(self.hub.deliver)
        secrets = settings.jwt_secret.get_secret_value(), settings.jwt_previous_secret.get_secret_value()
        # Without a serverId: nobody here tells our own connections of its receipts, so Redis has to.
        expiry = Expiry(Mailbox(client, users, settings, durable=replicated), users)
        departures = Departures(NumberClearing(client, users, expiry), self._end_sessions)
        self.services = Services(
            settings=settings,
            directory=directory,
            passwords=passwords,
            tokens=Tokens(*secrets, settings.token_hours),
            sessions=self.sessions,
            profiles=Profiles(),
            blocks=Blocks(users.replace_rules, settings.max_blocks),
            privacy=PrivacySettings(users.replace_rules),
            departures=departures,
            held=Held(client, users),
            number_changes=NumberChanges(departures, settings, self.events, self.revocation.announce_moved),
            password_changes=PasswordChanges(directory, passwords, self.sessions, self.events),
            devices=presence.devices,
            events=self.events,
            presence=presence,
            messaging=messaging,
            hub=self.hub,
            readiness=Readiness(
                self.storage, database.fault, self.notifications, self.servers, settings.bell_silence_seconds
            ),
            limits=limits,
            codes=Codes(client, limits, settings, self._code_sender()),
            logins=LoginAttempts(client, limits, settings, partial(record_limited, self.events)),
            upgrades=Upgrades(settings),
            refreshes=Refreshes(settings),
        )

    def _code_sender(self) -> Send | None:
        """How codes reach people."""
        settings = self.settings
        if settings.signup_code == "webhook":
            # Not at the top: the HTTP client takes a fifth of a second to import, and few servers need it.
            from delivery.webhooks import CodeWebhook  # noqa: PLC0415

            secret = settings.signup_code_secret.get_secret_value()
            self._webhook = CodeWebhook(settings.signup_code_url, secret, settings.signup_code_seconds)
            return self._webhook.send
        return log_code if settings.signup_code == "log" else None

    async def start(self) -> None:
        """Begin everything that runs by itself."""
        self.events.start()
        self.notifications.start()
        self.hub.start()
        self.watches.start()
        self.servers.start(lambda: {connection.mobile for connection in self.hub.connections()})
        self.revocation.start(self.sessions.revoked_among, self.settings.session_check_seconds)
        self._storage_loop = forever("storage", self.storage.look, LOOK_SECONDS)

    async def stop(self) -> None:
        """End it again: first what uses others, Redis last."""
        await self.revocation.stop()
        await self.watches.stop()
        await self._storage_loop.stop()
        await self.sessions.stop()
        await self.notifications.stop()
        await self.events.stop()
        await self.servers.stop()
        if self._webhook is not None:
            await self._webhook.close()
        await self.redis.close()

    async def _end_sessions(self, left: LeftNumber) -> None:
        ended = [ClosedSession(one, left.account_id, left.mobile, device_id="") for one in left.sessions]
        await self.sessions.announce(ended)

    def _change_privacy(self, mobile: str, privacy: str) -> None:
        self.hub.change_privacy(mobile, privacy)
        self.watches.change_privacy(mobile, privacy)

    def _handle_resubscribed(self) -> None:
        """Notifications may have been lost until now."""
        self.hub.notify_all()
        self.watches.read_all()
        self.revocation.check_soon()
        # The last heartbeat came before the subscription, and without one this server calls itself not ready.
        self.servers.send_heartbeat_soon()


def create_app(settings: Settings | None = None) -> MiniSanic:
    """The application. Without settings, from the environment.

    :raises SettingsError: when the environment does not make a runnable product
    """
    settings = settings or load()
    app = make_app("whatsapp_mini", settings)
    register(app)
    register_socket(app)
    add_cors(app, settings.origins)
    register_tortoise(app, config=tortoise_orm(settings.database_url, settings.database_pool))

    async def check_redis(_app: MiniSanic) -> None:
        redis = RedisClient(settings)
        try:
            await refuse_cluster(redis)
        except UnfitRedis as error:
            sys.exit(str(error))
        finally:
            await redis.close()
        await check_configuration(settings)

    async def start(app: MiniSanic) -> None:
        app.ctx.container = Container(settings, app.ctx.server_id)
        app.ctx.services = app.ctx.container.services
        await app.ctx.container.start()

    async def stop(app: MiniSanic) -> None:
        await app.ctx.container.stop()

    async def drain() -> None:
        await app.ctx.container.hub.drain()

    app.main_process_start(check_redis)
    app.before_server_start(start)
    app.after_server_stop(stop)
    add_drain(app, settings, drain)
    return app


def _app() -> MiniSanic:
    try:
        return create_app()
    except SettingsError as error:
        sys.exit(str(error))


app = _app()
