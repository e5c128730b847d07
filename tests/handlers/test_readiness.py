"""What a server reports of the things it depends on."""

from types import SimpleNamespace
from typing import Any

import pytest

from delivery.storage import FULL
from handlers.readiness import NOT_NOTIFIED, Check, Readiness


class Parts:
    """The things a server depends on; everything works."""

    def __init__(self) -> None:
        self.redis = self.postgresql = ""
        self.full = False
        self.listening = True
        self.heartbeat_age: float | None = 1.0

    async def check(self) -> dict[str, Check]:
        storage: Any = SimpleNamespace(fault=self.redis_fault, full=self.full)
        parts: Any = self
        return await Readiness(storage, self.postgresql_fault, parts, parts, 15).check()

    async def redis_fault(self) -> str:
        return self.redis

    async def postgresql_fault(self) -> str:
        return self.postgresql


WELL = {"redis": Check(), "postgresql": Check(), "doorbell": Check(), "memory": Check(needed=False)}


async def test_when_everything_works_no_check_has_a_fault() -> None:
    assert await Parts().check() == WELL


@pytest.mark.parametrize(
    ("change", "name", "check"),
    [
        ({"redis": "It sleeps."}, "redis", Check("It sleeps.")),
        ({"postgresql": "It sleeps."}, "postgresql", Check("It sleeps.")),
        ({"full": True}, "memory", Check(FULL, needed=False)),
        ({"listening": False}, "doorbell", Check(NOT_NOTIFIED)),
        ({"heartbeat_age": None}, "doorbell", Check(NOT_NOTIFIED)),
        ({"heartbeat_age": 15.0}, "doorbell", Check(NOT_NOTIFIED)),
    ],
)
async def test_each_fault_is_in_its_own_check(change: dict[str, Any], name: str, check: Check) -> None:
    parts = Parts()
    vars(parts).update(change)
    assert await parts.check() == WELL | {name: check}
