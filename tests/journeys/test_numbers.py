"""What is given out is taken back: people whose numbers are of the region, and of another country, in both dialects."""

from typing import Any

import httpx
import pytest

from tests.support.people import PASSWORD, Person, Talk, request
from tests.support.stack import ServerGroup, Stack

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
# Each as people write it, and the digits that it is.
PAIRS = {
    "two at home": ("+49 1511 2345678", "4915112345678", "01512 3456789", "4915123456789"),
    "one abroad": ("(0)151 34567890", "4915134567890", "+91 98765 43210", "919876543210"),
    "both abroad": ("0065 9123 4567", "6591234567", "\u202a+1\u00a0202\u2011555\u20110123\u202c", "12025550123"),
}


@pytest.fixture(scope="module")
def server(lasting_stack: Stack) -> ServerGroup:
    """A server in Germany."""
    return lasting_stack.start(workers=1, DEFAULT_REGION="DE")


async def _log_in(url: str, mobile: str) -> Person:
    async with httpx.AsyncClient(base_url=url, timeout=15) as client:
        answer = await client.post("/auth/login", json={"mobileNo": mobile, "password": PASSWORD})
    said = answer.raise_for_status().json()
    return Person(said["mobileNo"], said["token"], said["name"])


async def _come(url: str, written: str, mobile: str) -> Person:
    """Sign up as one writes it, log in so, and then with what the answer says."""
    async with httpx.AsyncClient(base_url=url, timeout=15) as client:
        form = {"name": "Somebody", "mobileNo": written, "password": PASSWORD}
        answer = await client.post("/auth/signin", json=form)
        assert answer.status_code in (200, 409), answer.text  # 409: in the other dialect before
    first = await _log_in(url, written)
    assert first.mobile == mobile
    again = await _log_in(url, first.mobile)
    assert again.mobile == mobile
    return again


async def _reply(mine: Talk, chat: dict[str, Any], message_id: str) -> None:
    """Answer a chat, and say that it was read, by its own ``from``."""
    await mine.send(type="chat", to=chat["from"], messageId=message_id, message="reply")
    await mine.send(type="ack", ackType="read", to=chat["from"], messageId=chat["messageId"])


@DIALECTS
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
async def test_numbers_given_out_lead_back(server: ServerGroup, pair: tuple[str, str, str, str], v1: bool) -> None:
    one_written, one, two_written, two = pair
    asha, ravi = await _come(server.url, one_written, one), await _come(server.url, two_written, two)
    from_asha, from_ravi = await asha.open(server.ws_url, v1), await ravi.open(server.ws_url, v1)

    await from_ravi.send(type="chat", to=one_written, messageId=f"first-{v1}", message="hello")
    chat = await from_asha.wait(lambda f: f["type"] == "chat" and f["messageId"] == f"first-{v1}")
    assert chat["from"] == two
    await _reply(from_asha, chat, f"reply-{v1}")
    reply = await from_ravi.wait(lambda f: f["type"] == "chat" and f["messageId"] == f"reply-{v1}")
    assert reply["from"] == one
    await from_ravi.wait(lambda f: f["type"] == "ack" and f["ackType"] == "read" and f["from"] == one)

    seen = await request(server.url, asha, "GET", "/profile/lastseen", params={"mobileNo": chat["from"]})
    assert seen.json()["data"] == {"username": "Somebody", "mobileNo": two, "lastSeen": "online"}
    assert (
        await request(server.url, asha, "POST", "/block-action/block", json={"blockedUserMobileNo": chat["from"]})
    ).status_code == 200
    (blocked,) = (await request(server.url, asha, "GET", "/block-action/list")).json()["data"]
    assert blocked["mobileNo"] == two
    path = "/block-action/unblock"
    answer = await request(server.url, asha, "DELETE", path, params={"mobileNo": blocked["mobileNo"]})
    assert answer.status_code == 200
    assert (await request(server.url, asha, "GET", "/block-action/list")).json()["data"] == []
    await from_asha.end()
    await from_ravi.end()


async def test_a_plus_in_a_query_may_arrive_as_a_space(server: ServerGroup) -> None:
    asha = await _come(server.url, "+4915145678901", "4915145678901")
    for written in ("+4915145678901", "%2B49%20151%2045678901", "004915145678901", "015145678901"):
        seen = await request(server.url, asha, "GET", f"/profile/lastseen?mobileNo={written}")
        assert seen.json()["data"]["mobileNo"] == "4915145678901"
