"""Rate limits over real sockets, in both dialects: what is refused is named, what follows waits, nobody is cut off."""

import asyncio
from typing import Any

import httpx
import pytest
import websockets

from tests.support.people import Frame, Person, Talk, sign_up
from tests.support.stack import ServerGroup, Stack

ON = {
    "RATE_LIMITS": "on",
    "SIGN_UPS_PER_HOUR": "1000",
    "LOGINS_PER_ADDRESS_BURST": "1000",
    "LOGINS_PER_ADDRESS_PER_MINUTE": "60000",
    "CONNECTIONS_PER_ADDRESS": "1000",
}
BOTH = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


FEW = {
    "PAIR_CHATS_PER_SECOND": "0.2",  # so slow a refill that none comes while a flood lasts, however busy the machine is
    "STRANGER_CHATS_PER_SECOND": "0.2",
    "NEW_RECIPIENTS_PER_HOUR": "8",
    "LOOKUPS_BURST": "10",
    "UPGRADES_BURST": "5",
    "UPGRADES_PER_SECOND": "0.2",
}


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    """A server with limits that are soon reached."""
    return lasting_stack.start(workers=1, **ON, **FEW)


@pytest.fixture(scope="module")
def behind_proxy(lasting_stack: Stack) -> ServerGroup:
    """A server to which people come from addresses of their own, each with few sockets."""
    few = {"UPGRADES_PER_ADDRESS_BURST": "3", "UPGRADES_PER_ADDRESS_PER_SECOND": "0.01"}
    return lasting_stack.start(workers=1, **ON, **few, PROXIES="1")


def _answers(talk: Talk) -> dict[str, Frame]:
    """Each chat's answer, by messageId; the last one counts."""
    kinds = ("sent", "system", "error")
    return {frame["messageId"]: frame for frame in talk.frames if frame["type"] in kinds and "messageId" in frame}


async def _all_answered(talk: Talk, count: int) -> dict[str, Frame]:
    async with asyncio.timeout(60):
        while len(_answers(talk)) < count:
            await asyncio.sleep(0.02)
    return _answers(talk)


def _limited(answers: dict[str, Frame]) -> list[str]:
    return [name for name, frame in answers.items() if frame.get("code") == "rate_limited"]


async def _acquainted(group: ServerGroup, v1: bool) -> tuple[Talk, Talk, Person]:
    """Asha and Ravi, who wrote to each other; Ravi's account."""
    asha, ravi = await sign_up(group.url, "Asha"), await sign_up(group.url, "Ravi")
    from_asha, from_ravi = await asha.open(group.ws_url, v1), await ravi.open(group.ws_url, v1)
    await from_asha.chat(ravi, "hello-1")
    await from_ravi.chat(asha, "hello-2")
    await asyncio.sleep(0.1)
    return from_asha, from_ravi, ravi


@BOTH
async def test_a_flood_to_one_person_is_refused_by_name_and_comes_in_order(group: ServerGroup, v1: bool) -> None:
    from_asha, from_ravi, ravi = await _acquainted(group, v1)
    names = [f"m{number}" for number in range(200)]
    for name in names:
        await from_asha.send(type="chat", to=ravi.mobile, messageId=name, message=name)
    answers = await _all_answered(from_asha, 201)
    limited = _limited(answers)
    assert 135 <= len(limited) <= 145
    assert all(answers[name]["retryable"] and answers[name]["retryAfter"] > 0 for name in limited)
    got = [name for name in names if name not in limited]
    assert got == names[: len(got)], "none overtakes one that was refused"
    assert from_asha.socket.close_code is None
    await from_ravi.wait_all(lambda f: f["type"] == "chat", len(got) + 1)
    assert [frame["messageId"] for frame in from_ravi.chats()] == ["hello-1", *got]
    await asyncio.sleep(max(answers[name]["retryAfter"] for name in limited))
    assert (await from_asha.chat(ravi, limited[0] + "-again"))["type"] != "error"
    await from_asha.end()
    await from_ravi.end()


@BOTH
async def test_a_stranger_may_write_little_until_there_is_an_answer(group: ServerGroup, v1: bool) -> None:
    eve, ravi = await sign_up(group.url, "Eve"), await sign_up(group.url, "Ravi")
    theirs, from_ravi = await eve.open(group.ws_url, v1), await ravi.open(group.ws_url, v1)
    for number in range(40):
        await theirs.send(type="chat", to=ravi.mobile, messageId=f"m{number}", message="hi")
    answers = await _all_answered(theirs, 40)
    limited = _limited(answers)
    assert 15 <= len(limited) <= 20
    await asyncio.sleep(max(answers[name]["retryAfter"] for name in limited))
    await from_ravi.chat(eve, "answer")
    await theirs.wait(lambda f: f["type"] == "chat")
    await asyncio.sleep(0.1)
    for number in range(15):
        await theirs.send(type="chat", to=ravi.mobile, messageId=f"n{number}", message="hi")
    answers = await _all_answered(theirs, 55)
    assert not [name for name in _limited(answers) if name.startswith("n")]
    await theirs.end()
    await from_ravi.end()


@BOTH
async def test_new_recipients_are_few(group: ServerGroup, v1: bool) -> None:
    eve, *others = [await sign_up(group.url) for _ in range(11)]
    theirs = await eve.open(group.ws_url, v1)
    for number, other in enumerate(others):
        answer = await theirs.chat(other, f"m{number}")
        assert (answer["type"] == "error") == (number >= 8)
    assert answer["code"] == "rate_limited"
    assert 400 < answer["retryAfter"] <= 450
    assert (await theirs.chat(others[0], "again"))["type"] != "error"
    await theirs.end()


async def test_a_client_of_the_original_that_empties_its_outbox_is_never_cut_off(group: ServerGroup) -> None:
    asha = await sign_up(group.url, "Asha")
    friends = [await sign_up(group.url) for _ in range(8)]
    talk = await asha.open(group.ws_url, v1=False)
    for number in range(6400):
        friend = friends[number % 8]
        await talk.send(type="chat", to=friend.mobile, messageId=f"m{number}", message="from the outbox")
    answers = await _all_answered(talk, 6400)
    assert talk.socket.close_code is None
    assert {frame.get("code", "sent") for frame in answers.values()} == {"sent", "rate_limited"}
    assert len(_limited(answers)) > 5000
    await talk.end()


async def test_numbers_cannot_be_tried_by_sending(group: ServerGroup) -> None:
    eve = await sign_up(group.url, "Eve")
    talk = await eve.open(group.ws_url)
    codes = []
    for number in range(15):
        await talk.send(type="chat", to=f"91987654{number:04}", messageId=f"m{number}", message="anybody?")
        codes.append((await talk.wait(lambda f, n=number: f.get("messageId") == f"m{n}"))["code"])  # type: ignore[misc]
    assert codes == ["no_such_person"] * 10 + ["rate_limited"] * 5
    headers = eve.headers
    async with httpx.AsyncClient(base_url=group.url, headers=headers) as client:
        answer = await client.get("/profile/lastseen", params={"mobileNo": eve.mobile})
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited"), "the same bucket over HTTP"
    await talk.end()


async def test_sockets_of_one_person_are_opened_at_a_pace(group: ServerGroup) -> None:
    eve, asha = await sign_up(group.url, "Eve"), await sign_up(group.url, "Asha")
    for _ in range(5):
        await (await eve.open(group.ws_url)).end()
    with pytest.raises(websockets.InvalidStatus) as caught:
        await eve.open(group.ws_url)
    assert caught.value.response.status_code == 429
    assert b'"rate_limited"' in (caught.value.response.body or b"")
    retry_after = int(caught.value.response.headers["retry-after"])
    assert 1 <= retry_after <= 5
    async with httpx.AsyncClient(base_url=group.url, headers=eve.headers) as client:
        ticket = (await client.post("/v1/tickets")).json()["ticket"]
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"{group.ws_url}/?ticket={ticket}")
    await (await asha.open(group.ws_url)).end()
    await asyncio.sleep(retry_after)
    await (await websockets.connect(f"{group.ws_url}/?ticket={ticket}")).close()  # the refusal did not use it up


@BOTH
async def test_behind_a_proxy_each_address_has_sockets_of_its_own(behind_proxy: ServerGroup, v1: bool) -> None:
    answers: dict[str, list[int]] = {}
    for address in (f"10.0.{v1:d}.1", f"10.0.{v1:d}.2"):
        person = await sign_up(behind_proxy.url)
        for _ in range(5):
            headers = {"X-Forwarded-For": f"6.6.6.6, {address}", "Authorization": f"Bearer {person.token}"}
            status = 101
            try:
                offers: list[Any] = ["wm.v1"] if v1 else []
                socket = await websockets.connect(
                    behind_proxy.ws_url, additional_headers=headers, subprotocols=offers or None
                )
                await socket.close()
            except websockets.InvalidStatus as refused:
                status = refused.response.status_code
            answers.setdefault(address, []).append(status)
    assert answers == {address: [101, 101, 101, 429, 429] for address in answers}
