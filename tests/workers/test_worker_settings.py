"""What arq is told."""

import importlib
import json
from typing import Any

import pytest


@pytest.fixture
def workers(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("REDIS_URL", "DATABASE_URL", "JWT_SECRET"):
        monkeypatch.setenv(name, env[name])
    return importlib.import_module("workers")


def test_two_workers_share_each_job(workers: Any) -> None:
    jobs = workers.WorkerSettings.cron_jobs
    names = sorted(job.coroutine.__name__ for job in jobs)
    assert names == [
        "expire_mailboxes",
        "finish_departures",
        "prune_history",
        "reclaim_mailboxes",
        "repair_blocks",
        "sweep_presence",
    ]
    assert all(job.unique and job.run_at_startup and job.max_tries == 1 for job in jobs)


def test_jobs_travel_as_json_and_never_as_pickle(workers: Any) -> None:
    packed = workers.WorkerSettings.job_serializer({"t": 1, "r": ValueError("words")})
    assert json.loads(packed) == {"t": 1, "r": "words"}
    with pytest.raises(ValueError, match="Expecting value"):
        workers.WorkerSettings.job_deserializer(b"cos\nsystem\n(S'true'\ntR.")


def test_without_its_environment_it_says_what_is_missing(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET")
    with pytest.raises(SystemExit, match="JWT_SECRET"):
        workers._settings()
