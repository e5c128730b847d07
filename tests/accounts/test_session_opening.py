"""Opening a session: which devices are linked, what a log-in leaves of earlier ones, and what races it loses."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from accounts.linked_devices import linked_devices
from accounts.session_opening import MAX_SESSIONS, Opened, TooManyDevices, open_session
from models import Session, User
from protocol.errors import ApiError
from settings import Settings
from tests.support.api import make_settings

A = "919800000001"


@pytest.fixture
async def asha(enrol: Callable[[str], Awaitable[User]]) -> User:
    return await enrol(A)


@pytest.fixture
def settings(orm: str) -> Settings:
    return make_settings("redis://unused", orm, max_devices=2)


async def _age(days: float, **which: object) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    await Session.filter(**which).update(created_at=at, last_used_at=at)


async def _devices(user: User, settings: Settings) -> list[str]:
    return [device.device_id for device in await linked_devices(str(user.id), settings.linked_seconds)]


async def _alive(**which: object) -> set[str]:
    return {str(row.id) for row in await Session.filter(revoked_at=None, **which)}


async def test_a_device_is_linked_while_a_living_session_of_it_was_used_lately(asha: User, settings: Settings) -> None:
    await open_session(asha, "phone", "Her phone", settings)
    await open_session(asha, "tablet", "", settings)
    await _age(29, device_id="phone")
    assert await _devices(asha, settings) == ["tablet", "phone"]
    (_, phone) = await linked_devices(str(asha.id), settings.linked_seconds)
    assert (phone.name, (datetime.now(UTC) - phone.last_used).days) == ("Her phone", 29)
    await _age(31, device_id="phone")
    assert await _devices(asha, settings) == ["tablet"]
    await open_session(asha, "laptop", "", settings)
    assert await _alive(device_id="phone"), "its session lives on"
    await Session.filter(device_id="tablet").update(revoked_at=datetime.now(UTC))
    assert await _devices(asha, settings) == ["laptop"]


async def test_a_session_of_the_version_before_links_its_device(asha: User, settings: Settings) -> None:
    await open_session(asha, "phone", "", settings)
    await Session.filter(device_id="phone").update(last_used_at=None, refresh_key="", refresh_hash="")
    assert await _devices(asha, settings) == ["phone"]


async def test_a_token_that_lives_longer_keeps_its_device_linked(asha: User, orm: str) -> None:
    settings = make_settings("redis://unused", orm, token_hours=24 * 90)
    opened = await open_session(asha, "phone", "", settings)
    assert opened.grant.expires_at - datetime.now(UTC) > timedelta(days=89), "nor does its session end before it"
    await _age(80, device_id="phone")
    assert await _devices(asha, settings) == ["phone"]


async def test_where_there_is_no_room_the_devices_are_named(asha: User, settings: Settings) -> None:
    for device in ("phone", "tablet"):
        await open_session(asha, device, f"A {device}", settings)
    with pytest.raises(TooManyDevices) as caught:
        await open_session(asha, "laptop", "", settings)
    assert [(device.device_id, device.name) for device in caught.value.linked] == [
        ("tablet", "A tablet"),
        ("phone", "A phone"),
    ]
    assert caught.value.code == "too_many_devices"


async def test_a_device_may_be_replaced_in_the_same_step(asha: User, settings: Settings) -> None:
    old = [(await open_session(asha, device, "", settings)).grant.session_id for device in ("phone", "tablet")]
    opened = await open_session(asha, "laptop", "", settings, "phone")
    assert [closed.session_id for closed in opened.replaced] == [old[0]]
    assert await _devices(asha, settings) == ["laptop", "tablet"]
    with pytest.raises(TooManyDevices):
        await open_session(asha, "phone", "", settings, "unknown")
    assert await _devices(asha, settings) == ["laptop", "tablet"]
    again = await open_session(asha, "tablet", "", settings, "tablet")
    assert again.replaced == [], "a device does not replace itself"


async def test_a_session_that_never_refreshed_ends_when_its_token_is_over(asha: User, settings: Settings) -> None:
    first, refreshed, other = [
        (await open_session(asha, device, "", settings)).grant.session_id for device in ("phone", "phone", "tablet")
    ]
    await _age(1.1, device_id__in=["phone", "tablet"])
    await Session.filter(id=refreshed).update(refreshed_at=datetime.now(UTC) - timedelta(days=1.1))
    opened = await open_session(asha, "phone", "", settings)
    assert await _alive() == {refreshed, other, opened.grant.session_id}
    assert opened.surplus == [], "nobody is connected with a token that is over"
    assert first not in await _alive()


async def test_the_sessions_of_one_device_are_bounded_and_the_least_used_end(asha: User, settings: Settings) -> None:
    opened: list[Opened] = [await open_session(asha, "phone", "", settings) for _ in range(MAX_SESSIONS)]
    await open_session(asha, "tablet", "", settings)
    await Session.filter(id=opened[0].grant.session_id).update(last_used_at=datetime.now(UTC) + timedelta(seconds=5))
    last = await open_session(asha, "phone", "", settings)
    assert [closed.session_id for closed in last.surplus] == [opened[1].grant.session_id]
    assert len(await _alive(device_id="phone")) == MAX_SESSIONS


@pytest.mark.parametrize("change", [{"password_hash": "another"}, {"mobile_no": "919800000009"}, None])
async def test_a_password_that_was_right_a_moment_ago_opens_nothing(
    asha: User, settings: Settings, change: dict[str, str] | None
) -> None:
    if change is None:
        await User.filter(id=asha.id).delete()
    else:
        await User.filter(id=asha.id).update(**change)
    with pytest.raises(ApiError, match="credentials_wrong"):
        await open_session(asha, "phone", "", settings)
    assert await _alive() == set()
