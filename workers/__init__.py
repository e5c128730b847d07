"""The background chores, run by ``arq workers.WorkerSettings``. Each bears being run twice, at once or in a row."""

import json
from typing import Any, ClassVar

import structlog
from arq.connections import ArqRedis, RedisSettings
from arq.cron import CronJob, cron
from tortoise import Tortoise

from accounts.directory import Directory
from accounts.events import SessionEvents
from accounts.passwords import Passwords
from delivery.devices import Devices
from delivery.mailbox import Mailbox
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from settings import Settings, SettingsError, load
from settings.database import tortoise_orm
from settings.logs import configure
from workers.clock import ClockWatch
from workers.expire_mailboxes import expire_mailboxes
from workers.jobs import Chores
from workers.prune_history import prune_history
from workers.queue import end_on_cluster, write_also_when_full
from workers.reclaim_mailboxes import reclaim_mailboxes
from workers.repair_blocks import mend_blocks
from workers.sweep_presence import sweep_presence

logger = structlog.get_logger(__name__)
JOB_SECONDS = 20


async def open_chores(ctx: dict[str, Any]) -> None:
    """arq's ``on_startup``: what the chores work with goes into ``ctx["chores"]``."""
    settings = load()
    configure(settings.log_level)
    await Tortoise.init(config=tortoise_orm(settings.database_url, 2), _enable_global_fallback=True)
    link = RedisClient(settings)
    await end_on_cluster(link, ctx["redis"])
    write_also_when_full(ctx["redis"])
    people = UserRecords(link, Directory(Passwords(4, 1, 0)).person)
    events = SessionEvents(settings.event_buffer, "worker")
    events.start()
    await bound_waits(ctx["redis"], settings.redis_command_seconds)
    ctx["watching"] = ClockWatch(WorkerSettings.cron_jobs).start()
    ctx["chores"] = Chores(settings, link, people, Mailbox(link, people, settings), Devices(link, people), events)


async def bound_waits(redis: "ArqRedis", seconds: float) -> None:
    """Let no command of arq's own wait for longer: it sets no limit, and over a line that went half open it would wait
    for ever, unseen. This way it ends with an error, and its supervisor starts it again."""
    redis.connection_pool.connection_kwargs["socket_timeout"] = seconds
    await redis.connection_pool.disconnect()
    # Those it has were made without a limit, and would connect again without one.
    redis.connection_pool.reset()  # type: ignore[no-untyped-call]


async def close_chores(ctx: dict[str, Any]) -> None:
    """arq's ``on_shutdown``."""
    chores: Chores = ctx["chores"]
    await ctx["watching"].stop()
    await chores.events.stop()
    await chores.link.close()
    await Tortoise.close_connections()


def _to_json(job: dict[str, Any]) -> bytes:
    # A failed job's result is an exception, of which only the words can travel.
    return json.dumps(job, default=str).encode()


def _every(seconds: int) -> set[int]:
    return set(range(0, 60, seconds))


def _jobs(settings: Settings) -> list[CronJob]:
    # `unique` makes two workers share the turns; each chore also bears being run twice.
    common: dict[str, Any] = {"unique": True, "timeout": JOB_SECONDS, "max_tries": 1, "run_at_startup": True}
    return [
        cron(sweep_presence, second=_every(settings.sweep_seconds), **common),
        cron(reclaim_mailboxes, second=_every(settings.reclaim_seconds), **common),
        cron(expire_mailboxes, minute=_every(settings.cap_minutes), second=7, **common),
        cron(mend_blocks, second=37, **common),
        cron(prune_history, minute=_every(settings.prune_minutes), second=23, **common),
    ]


def _settings() -> Settings:
    try:
        return load()
    except SettingsError as error:
        raise SystemExit(str(error)) from None


_loaded = _settings()


class WorkerSettings:
    """What arq reads. JSON, not arq's pickle: whoever can write to Redis must not run code here."""

    cron_jobs: ClassVar[list[CronJob]] = _jobs(_loaded)
    on_startup = open_chores
    on_shutdown = close_chores
    redis_settings = RedisSettings.from_dsn(_loaded.jobs_redis_url)
    job_serializer = staticmethod(_to_json)
    job_deserializer = staticmethod(json.loads)
    keep_result = 0
    job_timeout = JOB_SECONDS
    health_check_interval = 30  # seconds: `arq --check` must notice a worker that hangs, not an hour later
