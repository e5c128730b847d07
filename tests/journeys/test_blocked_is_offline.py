"""I5b: whatever a blocked asker does, in either dialect, they get what they would get of somebody who went offline.

Every route and every frame of the product is walked; a new one without a case here fails the test.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest

from handlers import ROUTES
from protocol import frames
from tests.journeys.two_worlds import PASSWORD, World, connect, differences
from tests.support.people import login, new_mobile, on_device, request
from tests.support.stack import ServerGroup

Work = Callable[[World], Awaitable[list[str] | None]]
UNKNOWN = "919999999999"


def call(method: str, path: str, **how: Any) -> Work:
    """A request; strings that are the name of a person stand for their number."""

    async def work(world: World) -> list[str]:
        return await world.http(method, _filled(world, path), **{key: _filled(world, how[key]) for key in how})

    return work


def _filled(world: World, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(world, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(world, each) for each in value]
    if isinstance(value, str):
        for name in ("asker", "target", "third"):
            value = value.replace(f"${name}", getattr(world, name).mobile)
    return value


def each(*works: Work) -> Work:
    """One after the other."""

    async def work(world: World) -> list[str]:
        return [text for one in works for text in await one(world) or []]

    return work


async def log_in_again(world: World) -> list[str]:
    world.asker.token = await login(world.group.url, world.asker.mobile)
    return []


async def log_in_elsewhere(world: World) -> list[str]:
    """A second device, so that there is something to end."""
    await on_device(world.group.url, world.asker, "tablet")
    return []


async def refresh(world: World) -> list[str]:
    form = {"mobileNo": world.asker.mobile, "password": PASSWORD, "deviceId": "laptop"}
    answer = (await request(world.group.url, world.asker, "POST", "/auth/login", json=form)).json()
    return await world.http("POST", "/auth/refresh", json={"refreshToken": answer["refreshToken"]})


async def close_session(world: World) -> list[str]:
    listed = (await request(world.group.url, world.asker, "GET", "/v1/sessions")).json()["data"]
    other = next(one["id"] for one in listed if not one["current"])
    return await world.http("DELETE", f"/v1/sessions/{other}")


async def logged_out(world: World, path: str) -> list[str]:
    """Of another session, so that the socket stays."""
    laptop = await on_device(world.group.url, world.asker, "laptop")
    return await world.http("POST", path, who=laptop)


async def log_out_everywhere(world: World) -> list[str]:
    """All but the one whose socket it is."""
    return await world.http("POST", "/auth/logout-everywhere")


async def come_back(world: World) -> list[str]:
    """What ended everything is over: the asker connects anew."""
    await world.a.end()
    world.a = await connect(world.asker, world.group, world.v1)
    if world.v1:
        await world.a.send(type="watch", mobileNos=[world.target.mobile, world.third.mobile])
    return []


async def change_number(world: World) -> list[str]:
    """Whom nobody has blocked under the new number is another person: two accounts can compare (decision 32)."""
    number = new_mobile()
    world._names[number] = "<asker again>"
    said = await world.http("POST", "/v1/me/number", json={"mobileNo": number, "password": PASSWORD})
    world.asker.mobile = number
    await log_in_again(world)
    return said


LAST_SEEN = call("GET", "/profile/lastseen?mobileNo=$target")
HTTP: dict[tuple[str, str], Work] = {
    ("POST", "/auth/signin"): call(
        "POST", "/auth/signin", json={"name": "Ravi", "mobileNo": "$target", "password": PASSWORD}
    ),
    ("POST", "/auth/login"): call("POST", "/auth/login", json={"mobileNo": "$target", "password": "a wrong guess"}),
    ("POST", "/auth/refresh"): refresh,
    ("POST", "/auth/logout"): lambda world: logged_out(world, "/auth/logout"),
    ("POST", "/auth/logout-everywhere"): log_out_everywhere,
    ("POST", "/auth/password"): call(
        "POST", "/auth/password", json={"currentPassword": PASSWORD, "newPassword": PASSWORD}
    ),
    ("POST", "/auth/reset"): call(
        "POST", "/auth/reset", json={"mobileNo": "$target", "code": "123456", "newPassword": PASSWORD}
    ),
    ("POST", "/v1/codes"): call("POST", "/v1/codes", json={"mobileNo": "$target"}),
    ("GET", "/v1/export"): call("GET", "/v1/export"),
    ("GET", "/v1/sessions"): call("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions/<id:str>"): each(log_in_elsewhere, close_session),
    ("GET", "/v1/events"): call("GET", "/v1/events"),
    ("GET", "/v1/devices"): call("GET", "/v1/devices"),
    ("DELETE", "/v1/devices/<device_id:str>"): each(log_in_elsewhere, call("DELETE", "/v1/devices/tablet")),
    ("POST", "/v1/tickets"): call("POST", "/v1/tickets"),
    ("POST", "/block-action/block"): each(
        call("POST", "/block-action/block", json={"blockedUserMobileNo": "$target"}), LAST_SEEN
    ),
    ("GET", "/block-action/list"): call("GET", "/block-action/list"),
    ("DELETE", "/block-action/unblock"): each(
        call("DELETE", "/block-action/unblock?mobileNo=$target"), call("GET", "/block-action/list"), LAST_SEEN
    ),
    ("GET", "/profile/lastseen"): each(LAST_SEEN, call("GET", "/profile/lastseen?mobileNo=$third"), LAST_SEEN),
    ("GET", "/v1/me"): call("GET", "/v1/me"),
    ("PATCH", "/v1/me"): call("PATCH", "/v1/me", json={"about": "calls only"}),
    ("DELETE", "/v1/me"): call("DELETE", "/v1/me", json={"password": PASSWORD}),
    ("POST", "/v1/me/number"): change_number,
    ("POST", "/v1/people/lookup"): call(
        "POST", "/v1/people/lookup", json={"mobileNos": ["$target", "$third", UNKNOWN]}
    ),
    ("GET", "/v1/privacy"): call("GET", "/v1/privacy"),
    ("PUT", "/v1/privacy"): each(
        *(
            each(call("PUT", "/v1/privacy", json={name: value}), LAST_SEEN)
            for name, values in (
                ("lastSeen", ("contacts", "nobody", "everyone")),
                ("online", ("contacts", "nobody", "everyone")),
                ("readReceipts", ("off", "on")),
                ("strangerReceipts", ("off", "on")),
            )
            for value in values
        )
    ),
    ("GET", "/"): call("GET", "/"),
    ("GET", "/web/<name:str>"): call("GET", "/web/app.js"),
    ("GET", "/web/<folder:str>/<name:str>"): call("GET", "/web/vendor/preact.js"),
    ("GET", "/openapi.json"): call("GET", "/openapi.json"),
    ("GET", "/asyncapi.json"): call("GET", "/asyncapi.json"),
    ("GET", "/docs"): call("GET", "/docs"),
    ("GET", "/docs/<name:str>"): call("GET", "/docs/docs.css"),
    ("GET", "/health"): call("GET", "/health"),
    ("GET", "/ready"): call("GET", "/ready"),
}
"""What the asker does with each route."""
ENDS_EVERYTHING = (
    ("POST", "/auth/logout-everywhere"),
    ("POST", "/auth/password"),
    ("POST", "/v1/me/number"),
    ("DELETE", "/v1/me"),
)
"""In this order, behind all others."""
LAST_OF_ALL = ENDS_EVERYTHING[2:]
"""After these the asker is no longer the one who was blocked."""


def send(*sent: dict[str, Any]) -> Work:
    """Frames, one message each."""

    async def work(world: World) -> None:
        for frame in sent:
            await world.a.send(**_filled(world, frame))

    return work


async def type_late(world: World) -> None:
    """Twice at once, and once more when a second has passed; the target types as well."""
    for seconds in (0, 0, 1.1):
        await asyncio.sleep(seconds)
        await world.a.send(type="typing", to=world.target.mobile, active=True)
    await world.live()


CHAT = {"type": "chat", "to": "$target", "messageId": "m-1", "message": "hello"}
FRAMES: dict[str, Work] = {
    "chat": send(
        CHAT,
        CHAT,
        CHAT | {"message": "another text"},
        CHAT | {"messageId": "before-0"},
        CHAT | {"messageId": "before-2", "message": "another text"},
        CHAT | {"messageId": "m-2", "message": ""},
        CHAT | {"messageId": "x" * 200},
        *(CHAT | {"messageId": f"many-{n}"} for n in range(30)),
        CHAT | {"to": UNKNOWN, "messageId": "m-3"},
    ),
    "ack": send(
        {"type": "ack", "ackType": "delivered", "to": "$target", "messageId": "from-target"},
        {"type": "ack", "ackType": "read", "to": "$target", "messageIds": ["from-target", "nothing"]},
        {"type": "ack", "ackType": "read", "to": "$target", "messageIds": ["m-1"]},
        {"type": "ack", "ackType": "delivered", "streamIds": ["5-0"]},
        {"type": "ack", "ackType": "read", "to": "$target"},
    ),
    "ping": send({"type": "ping"}),
    "watch": send(
        {"type": "watch", "mobileNos": ["$target"]},
        {"type": "watch", "mobileNos": ["$target", "$third", UNKNOWN]},
    ),
    "unwatch": send(
        {"type": "unwatch", "mobileNos": ["$target", UNKNOWN]},
        {"type": "watch", "mobileNos": ["$target"]},
    ),
    "typing": type_late,
}
"""What the asker does with each frame."""


async def look(world: World) -> list[str]:
    """What came at the moment itself; and while the target lives."""
    await world.live()
    return await LAST_SEEN(world) or []


def steps() -> list[tuple[str, Work]]:
    """All of them, by name."""
    routes = [route for route in HTTP if route not in ENDS_EVERYTHING]
    walked = [("looking", look), *FRAMES.items(), *((" ".join(route), HTTP[route]) for route in routes)]
    walked = [each for n, step in enumerate(walked) for each in (step, *([("meanwhile", look)] if n % 3 == 2 else []))]
    for route in ENDS_EVERYTHING:
        walked.append((" ".join(route), HTTP[route]))
        if route not in LAST_OF_ALL:
            walked += [("again", come_back), ("meanwhile", look)]
    return walked


def test_every_route_and_every_frame_is_walked() -> None:
    assert set(HTTP) == {(method, path) for method, path, _ in ROUTES}
    assert set(FRAMES) == {kind.__struct_config__.tag for kind in get_args(frames.FrameIn)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
async def test_blocked_is_offline(product: ServerGroup, single_server: ServerGroup, v1: bool) -> None:
    worlds = [World(product, single_server, v1=v1, blocks=blocks) for blocks in (True, False)]
    walked = steps()

    async def live(world: World) -> None:
        await world.begin()
        for work in (World.part, *(work for _, work in walked)):
            await world.step(work)
        await world.end()

    await asyncio.gather(*map(live, worlds))
    found = differences(worlds, ["the moment", *(f"{n} {name}" for n, (name, _) in enumerate(walked))])
    assert found == {}
