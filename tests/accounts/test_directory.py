"""Enrol, find, authenticate; and one consistent record of a person."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.blocks import Blocks
from accounts.directory import Directory
from accounts.passwords import Passwords
from models import EventKind, Session, SessionEvent, User
from protocol.errors import ApiError
from tools.devstack.postgres import Postgres

A, B, C = "919800000001", "919800000002", "919800000003"


@pytest.fixture
def directory(orm: str, passwords: Passwords) -> Directory:
    return Directory(passwords, 30 * 86_400)


async def _untold(*_: object) -> None:
    """Nobody is told."""


async def test_enrolled_people_are_found_and_authenticated(directory: Directory) -> None:
    user = await directory.enrol("Asha", A, "correct horse")
    found = await directory.find(A)
    assert found is not None
    assert (found.id, found.name, found.blocks_version) == (user.id, "Asha", 0)
    assert "correct" not in found.password_hash
    assert (await directory.authenticate(A, "correct horse")).id == user.id
    assert await directory.find(B) is None


async def test_a_number_is_enrolled_once_even_concurrently(directory: Directory) -> None:
    answers = await asyncio.gather(
        *(directory.enrol(f"Asha {n}", A, "correct horse") for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, User) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, ApiError)} == {"already_exists"}
    assert await User.filter(mobile_no=A).count() == 1


async def test_the_log_of_postgresql_does_not_contain_the_number(
    directory: Directory, postgres_server: Postgres
) -> None:
    mobile = "919800000077"
    await asyncio.gather(*(directory.enrol("Asha", mobile, "correct horse") for _ in range(8)), return_exceptions=True)
    assert await User.filter(mobile_no=mobile).count() == 1
    assert mobile not in postgres_server.log.read_text()


async def test_wrong_password_and_unknown_number_are_the_same_error(directory: Directory) -> None:
    await directory.enrol("Asha", A, "correct horse")
    for mobile, password in ((A, "wrong horse"), (B, "correct horse")):
        with pytest.raises(ApiError) as caught:
            await directory.authenticate(mobile, password)
        assert caught.value.code == "credentials_wrong"


async def test_quotes_are_only_text(directory: Directory) -> None:
    name = "Robert'); DROP TABLE users;--"
    await directory.enrol(name, A, "' OR '1'='1")
    assert await directory.person("' OR '1'='1") is None
    record = await directory.person(A)
    assert record is not None
    assert record.name == name


async def test_a_record_is_complete(directory: Directory) -> None:
    user = await directory.enrol("Asha", A, "correct horse")
    for mobile in (C, B):
        await directory.enrol("Other", mobile, "correct horse")
        await Blocks(_untold, 10).block(A, mobile)
    record = await directory.person(A)
    assert record is not None
    assert (record.account_id, record.name, record.blocks_version) == (str(user.id), "Asha", 2)
    assert (list(record.blocked), record.last_seen_ms) == ([B, C], None)
    assert await directory.person("919800009999") is None


async def test_devices_are_those_that_are_linked(directory: Directory) -> None:
    user = await directory.enrol("Asha", A, "correct horse")
    now, hour = datetime.now(UTC), timedelta(hours=1)
    for device, expires, revoked in (
        ("phone", now + hour, None),
        ("phone", now + hour, now),
        ("tablet", now - hour, None),
        ("desk", now + hour, now),
    ):
        await Session.create(id=uuid.uuid4(), user=user, device_id=device, expires_at=expires, revoked_at=revoked)
    record = await directory.person(A)
    assert record is not None
    assert record.devices == ["phone"]
    idle = datetime.now(UTC) - timedelta(days=31)
    await Session.filter(device_id="phone").update(created_at=idle, last_used_at=None)
    record = await directory.person(A)
    assert record is not None
    assert record.devices == [], "it was not used for so long that it is not linked any more"


async def test_last_seen_is_the_latest_end_of_a_connection_of_this_account(directory: Directory) -> None:
    user = await directory.enrol("Asha", A, "correct horse")
    then = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    former = await User.create(id=uuid.uuid4(), mobile_no=B, name="Former", password_hash="-")
    for owner, kind, seconds in (
        (user, EventKind.DISCONNECT, 0),
        (user, EventKind.DISCONNECT, -60),
        (user, EventKind.LOGIN, 60),
        (former, EventKind.DISCONNECT, 120),
        (None, EventKind.DISCONNECT, 180),
    ):
        await SessionEvent.create(user=owner, mobile_no=A, kind=kind, at=then + timedelta(seconds=seconds))
    record = await directory.person(A)
    assert record is not None
    assert record.last_seen_ms == 1_767_268_800_250


async def test_a_version_never_comes_with_the_blocks_of_another(directory: Directory) -> None:
    for mobile in (A, B):
        await directory.enrol("Somebody", mobile, "correct horse")
    blocks = Blocks(_untold, 10)

    async def toggle() -> None:
        for _ in range(25):
            await blocks.block(A, B)
            await blocks.unblock(A, B)

    toggling = asyncio.create_task(toggle())
    seen = set()
    while not toggling.done():
        record = await directory.person(A)
        assert record is not None
        # Odd versions block B, even ones do not.
        assert list(record.blocked) == ([B] if record.blocks_version % 2 else [])
        seen.add(record.blocks_version)
    await toggling
    assert len(seen) > 2
