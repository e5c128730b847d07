"""The background jobs, run by ``arq workers.WorkerSettings``. Each may run twice, at once or in a row."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import structlog
from arq.connections import RedisSettings
from arq.cron import CronJob, cron
from tortoise import Tortoise

from accounts.departures import Departures, LeftNumber
from accounts.directory import Directory
from accounts.events import SessionEvents
from accounts.passwords import Passwords
from accounts.session_ends import ClosedSession
from accounts.sessions import Sessions
from delivery.departures import NumberClearing
from delivery.devices import Devices
from delivery.expiry import Expiry
from delivery.mailbox import Mailbox
from delivery.notifications import closed_commands
from delivery.redis.access import KeyValues
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from settings import Settings, SettingsError, load
from settings.database import tortoise_orm
from settings.logs import configure
from workers.clock import ClockWatch
from workers.expire_mailboxes import expire_mailboxes
from workers.finish_departures import finish_departures
from workers.jobs import JobServices
from workers.prune_history import prune_history
from workers.queue import QueueRedis, exit_unless_fit, queue_client
from workers.reclaim_mailboxes import reclaim_mailboxes
from workers.repair_blocks import repair_blocks
from workers.sweep_presence import sweep_presence

logger = structlog.get_logger(__name__)
JOB_SECONDS = 20


async def open_services(ctx: dict[str, Any]) -> None:
    """arq's ``on_startup``: makes what the jobs use, ``ctx["services"]``."""
    settings = load()
    configure(settings.log_level)
    await Tortoise.init(config=tortoise_orm(settings.database_url, 2), _enable_global_fallback=True)
    redis = RedisClient(settings)
    await exit_unless_fit(redis, ctx["redis"])
    users = UserRecords(redis, Directory(Passwords(4, 1, 0), settings.linked_seconds).person)
    events = SessionEvents(settings.event_buffer, "worker")
    events.start()
    ctx["clock"] = ClockWatch(WorkerSettings.cron_jobs).start()
    mailbox, devices = Mailbox(redis, users, settings), Devices(redis, users)
    expiry = Expiry(mailbox, users)
    departures = Departures(NumberClearing(redis, users, expiry), partial(_end_sessions, redis, settings))
    ctx["services"] = JobServices(settings, redis, users, mailbox, devices, expiry, departures, events)


async def _end_sessions(redis: RedisClient, settings: Settings, left: LeftNumber) -> None:
    async def announce(closed: Sequence[ClosedSession]) -> None:
        await redis.pipeline(closed_commands([each.session_id for each in closed]))

    ended = [ClosedSession(one, left.account_id, left.mobile, device_id="") for one in left.sessions]
    await Sessions(KeyValues(redis, redis), settings, announce).announce(ended)


async def close_services(ctx: dict[str, Any]) -> None:
    """arq's ``on_shutdown``."""
    services: JobServices = ctx["services"]
    await ctx["clock"].stop()
    await services.events.stop()
    await services.redis.close()
    await Tortoise.close_connections()


def _to_json(job: dict[str, Any]) -> bytes:
    # The result of a failed job is an exception, of which only the text can be stored.
    return json.dumps(job, default=str).encode()


def _every(seconds: int) -> set[int]:
    return set(range(0, 60, seconds))


def _jobs(settings: Settings) -> list[CronJob]:
    # With `unique`, one of several workers runs each turn. Jobs may run twice nevertheless.
    common: dict[str, Any] = {"unique": True, "timeout": JOB_SECONDS, "max_tries": 1, "run_at_startup": True}
    return [
        cron(sweep_presence, second=_every(settings.sweep_seconds), **common),
        cron(finish_departures, second=_every(settings.sweep_seconds), **common),
        cron(reclaim_mailboxes, second=_every(settings.reclaim_seconds), **common),
        cron(expire_mailboxes, minute=_every(settings.cap_minutes), second=7, **common),
        cron(repair_blocks, second=37, **common),
        cron(prune_history, minute=_every(settings.prune_minutes), second=23, **common),
    ]


def _settings() -> Settings:
    try:
        return load()
    except SettingsError as error:
        raise SystemExit(str(error)) from None


_loaded = _settings()


class WorkerSettings:
    """What arq reads. Jobs are stored as JSON, not as pickle: write access to Redis must not mean running code here."""

    cron_jobs: ClassVar[list[CronJob]] = _jobs(_loaded)
    on_startup = open_services
    on_shutdown = close_services
    redis_pool: ClassVar[QueueRedis] = queue_client(_loaded, _to_json, json.loads)
    redis_settings = RedisSettings.from_dsn(_loaded.jobs_redis_url)  # for `arq --check`
    job_serializer = staticmethod(_to_json)
    job_deserializer = staticmethod(json.loads)
    keep_result = 0
    job_timeout = JOB_SECONDS
    health_check_interval = 30  # seconds: `arq --check` must notice a worker that hangs, not an hour later
