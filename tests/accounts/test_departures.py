"""Numbers that are left, as PostgreSQL sees it: one transaction, then steps that may be cut off and done again."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts import departures
from accounts.blocks import Blocks
from accounts.departures import Departures, LeftNumber
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.passwords import Passwords
from models import Block, Departure, EventKind, Session, SessionEvent, User
from protocol.errors import ApiError
from tools.devstack.postgres import Postgres

A, B, C = "919800000001", "919800000002", "919800000003"
Enrol = Callable[[str], Awaitable[User]]
STEPS = ["reload", "leave", "end", "clear"]


class Elsewhere:
    """What is asked of Redis and of other servers. Fails at one step, if a test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended: set[str] = set()
        self.reloaded: list[str] = []
        self.fails_at = ""
        self.is_connected = False

    def _step(self, name: str) -> None:
        if name == self.fails_at:
            raise ApiError("unavailable")
        self.asked.append(name)

    async def leave(self, mobile: str, account_id: str) -> int:
        self._step("leave")
        return int(self.is_connected)

    async def clear(self, mobile: str, account_id: str, wait_seconds: float) -> bool:
        self._step("clear")
        return not self.is_connected

    async def reload(self, mobiles: Sequence[str]) -> None:
        self._step("reload")
        self.reloaded += mobiles

    async def end(self, left: LeftNumber) -> None:
        self._step("end")
        self.ended |= set(left.sessions)


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def leaving(orm: str, elsewhere: Elsewhere) -> Departures:
    return Departures(elsewhere, elsewhere.end)


@pytest.fixture
def directory(orm: str, passwords: Passwords) -> Directory:
    return Directory(passwords, 30 * 86_400)


async def _untold(*_: object) -> None:
    """Nobody is told."""


@pytest.fixture
async def asha(enrol: Enrol) -> User:
    """She blocks Chand, Bela blocks her; she has sessions that live, ended just now, and long ago."""
    asha, bela, chand = await enrol(A), await enrol(B), await enrol(C)
    await Block.create(blocker=bela, blocked=asha)
    await Block.create(blocker=asha, blocked=chand)
    now = datetime.now(UTC)
    for number, (ends, revoked) in enumerate([(1, None), (1, -0.1), (1, -5), (-1, None)], 1):
        await Session.create(
            id=f"00000000-0000-0000-0000-00000000000{number}",
            user=asha,
            device_id="primary",
            expires_at=now + timedelta(hours=ends),
            revoked_at=None if revoked is None else now + timedelta(hours=revoked),
        )
    for user, mobile, kind in [(asha, A, EventKind.LOGIN), (None, A, EventKind.LOGIN_FAILED), (bela, B, "login")]:
        await SessionEvent.create(user=user, mobile_no=mobile, kind=kind, at=now)
    return asha


async def test_an_account_goes_with_everything_and_its_number_is_free(
    leaving: Departures, elsewhere: Elsewhere, asha: User
) -> None:
    before = {user.mobile_no: user for user in await User.all()}
    await leaving.delete(str(asha.id), A)
    assert elsewhere.asked == STEPS
    assert [user.mobile_no for user in await User.all().order_by("mobile_no")] == [B, C]
    assert await Session.all().count() == await Block.all().count() == await Departure.all().count() == 0
    assert await SessionEvent.all().values_list("mobile_no", flat=True) == [B]
    assert {one[-1] for one in elsewhere.ended} == {"1", "2"}, "what Redis may still call alive"
    assert elsewhere.reloaded == [B]
    bela, chand = await User.get(mobile_no=B), await User.get(mobile_no=C)
    assert bela.blocks_version == before[B].blocks_version + 1
    assert bela.blocks_changed_at is not None
    assert (chand.blocks_version, chand.blocks_changed_at) == (0, None)
    with pytest.raises(ApiError, match="session_revoked"):
        await leaving.delete(str(asha.id), A)


@pytest.mark.parametrize("step", STEPS)
async def test_cut_off_at_any_step_the_number_waits_until_the_rest_is_done(
    leaving: Departures, elsewhere: Elsewhere, asha: User, directory: Directory, step: str
) -> None:
    elsewhere.fails_at = step
    await leaving.delete(str(asha.id), A)  # the account is gone, which is what was asked for
    assert await directory.find(A) is None
    (left,) = await leaving.unfinished()
    assert (left.mobile, left.account_id, len(left.sessions)) == (A, str(asha.id), 2)
    with pytest.raises(ApiError, match="number_resting"):
        await directory.enrol("The next", A, "correct horse")
    elsewhere.fails_at = ""
    for _ in range(2):
        assert await leaving.finish(left)
    assert await leaving.unfinished() == []
    assert (await directory.enrol("The next", A, "correct horse")).mobile_no == A


async def test_while_a_socket_lives_the_number_is_not_free(
    leaving: Departures, elsewhere: Elsewhere, asha: User, directory: Directory
) -> None:
    elsewhere.is_connected = True
    await leaving.delete(str(asha.id), A)
    (left,) = await leaving.unfinished()
    assert not await leaving.finish(left)
    elsewhere.is_connected = False
    assert await leaving.finish(left)


async def test_a_request_does_not_wait_for_redis_for_ever(
    leaving: Departures, elsewhere: Elsewhere, asha: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(departures, "FINISH_SECONDS", 0.1)
    monkeypatch.setattr(elsewhere, "clear", never)
    await asyncio.wait_for(leaving.delete(str(asha.id), A), 5)
    assert len(await leaving.unfinished()) == 1


async def test_a_late_run_leaves_the_row_of_the_next_owner(leaving: Departures, asha: User) -> None:
    await Departure.create(mobile_no=A, account_id=asha.id, sessions=[])
    await leaving.finish(LeftNumber(A, "00000000-0000-0000-0000-000000000000", []))
    assert await Departure.all().count() == 1


async def test_with_many_events_it_takes_several_pages(
    leaving: Departures, asha: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "PAGE", 2)
    for _ in range(7):
        await SessionEvent.create(user=asha, mobile_no=A, kind=EventKind.CONNECT, at=datetime.now(UTC))
    await leaving.delete(str(asha.id), A)
    assert await SessionEvent.all().values_list("mobile_no", flat=True) == [B]


async def test_without_postgresql_nothing_has_happened_or_the_rest_waits(
    own_postgres: Postgres, passwords: Passwords, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tortoise.context import TortoiseContext  # noqa: PLC0415 - for this test alone

    from settings.database import tortoise_orm  # noqa: PLC0415

    async with TortoiseContext() as context:
        await context.init(config=tortoise_orm(own_postgres.dsn()))
        user = await Directory(passwords, 30 * 86_400).enrol("Asha", A, "correct horse")
        leaving = Departures(elsewhere, elsewhere.end)
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises(ApiError, match="unavailable"):
            await leaving.delete(str(user.id), A)
        assert elsewhere.asked == []
        await asyncio.to_thread(own_postgres.start)
        directory = Directory(passwords, 30 * 86_400)
        assert await directory.find(A) is not None

        async def kills(*_: Any) -> bool:
            await asyncio.to_thread(own_postgres.kill)
            return True

        with monkeypatch.context() as patch:
            patch.setattr(elsewhere, "clear", kills)
            await leaving.delete(str(user.id), A)  # all but the last step is done
        await asyncio.to_thread(own_postgres.start)
        assert await directory.find(A) is None
        (left,) = await leaving.unfinished()
        with pytest.raises(ApiError, match="number_resting"):
            await directory.enrol("The next", A, "correct horse")
        assert await leaving.finish(left)
        await directory.enrol("The next", A, "correct horse")


# ---- what happens at the same time


async def test_a_sign_up_in_the_same_moment_has_to_wait_for_the_rest(
    leaving: Departures, elsewhere: Elsewhere, asha: User, directory: Directory
) -> None:
    """The insertion waits for the deletion's transaction, which it then finds committed, with its row."""
    gate = asyncio.Event()

    async def slow(*_: Any) -> bool:
        await gate.wait()
        return True

    elsewhere.clear = slow  # type: ignore[method-assign]
    deletion = asyncio.create_task(leaving.delete(str(asha.id), A))
    tries = 0
    while tries < 1000:
        tries += 1
        try:
            await directory._add(User(id=uuid.uuid4(), name="The next", mobile_no=A, password_hash="-"))
        except ApiError as error:
            if error.code == "number_resting":
                break
            if error.code != "already_exists":
                raise
        else:
            raise AssertionError("the number was given away while Redis held something of it")
    gate.set()
    await deletion
    await directory._add(User(id=uuid.uuid4(), name="The next", mobile_no=A, password_hash="-"))


async def test_a_block_in_the_same_moment_is_undone_or_finds_nobody(
    leaving: Departures, asha: User, enrol: Enrol
) -> None:
    others = [(await enrol(f"9198000010{n:02}")).mobile_no for n in range(10)]
    blocks = Blocks(_untold, 100)
    answers = await asyncio.gather(
        *(blocks.block(one, A) for one in others[:5]),
        leaving.delete(str(asha.id), A),
        *(blocks.block(one, A) for one in others[5:]),
        return_exceptions=True,
    )
    codes = {answer.code for answer in answers if isinstance(answer, ApiError)}
    assert codes <= {"no_such_person", "unavailable"}, answers
    assert not [one for one in answers if isinstance(one, Exception) and not isinstance(one, ApiError)]
    assert await Block.all().count() == 0


async def test_events_that_come_afterwards_are_not_kept(leaving: Departures, asha: User) -> None:
    await leaving.delete(str(asha.id), A)
    events = SessionEvents(100)
    events.add(Event(EventKind.DISCONNECT, A, str(asha.id)))
    events.add(Event(EventKind.LOGIN_FAILED, A))
    await events.flush()
    assert await SessionEvent.filter(mobile_no=A).values_list("kind", flat=True) == ["login_failed"]
