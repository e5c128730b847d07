"""Block, unblock, list."""

import pytest

from protocol.errors import ApiError
from tests.support.api import Api

A, B, C = "919800000001", "919800000002", "919800000003"


@pytest.fixture
async def asha(api: Api) -> dict[str, str]:
    """A's headers; B and C exist."""
    await api.sign_up(B, "Bela")
    await api.sign_up(C, "Chand")
    return await api.person(A, "Asha")


async def test_block_unblock_and_list_respond_like_the_original(api: Api, asha: dict[str, str]) -> None:
    blocked = await api.client.post("/block-action/block", json={"blockedUserMobileNo": f"+{B}"}, headers=asha)
    assert (blocked.status_code, blocked.json()) == (200, {"success": True, "message": "User blocked successfully"})
    await api.client.post("/block-action/block", json={"blockedUserMobileNo": C}, headers=asha)
    listing = await api.client.get("/block-action/list", headers=asha)
    assert listing.json()["data"] == [{"username": "Bela", "mobileNo": B}, {"username": "Chand", "mobileNo": C}]
    gone = await api.client.delete("/block-action/unblock", params={"mobileNo": B}, headers=asha)
    assert (gone.status_code, gone.json()) == (200, {"success": True, "message": "User unblocked successfully"})
    assert api.notes.blocks == [(1, [B]), (2, [B, C]), (3, [C])]
    assert {mobile for mobile, _ in api.notes.changes} == {A}


@pytest.mark.parametrize("query", ["mobileNo=%2B919800000002", "mobileNo=+919800000002", "mobileNo=91-9800-000002"])
async def test_a_plus_may_be_written_either_way(api: Api, asha: dict[str, str], query: str) -> None:
    await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=asha)
    answer = await api.client.delete(f"/block-action/unblock?{query}", headers=asha)
    assert answer.status_code == 200
    assert api.notes.blocks[-1][1] == []


async def test_blocking_twice_and_unblocking_somebody_not_blocked_succeed(api: Api, asha: dict[str, str]) -> None:
    for _ in range(2):
        answer = await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=asha)
        assert answer.status_code == 200
    assert (await api.client.delete(f"/block-action/unblock?mobileNo={C}", headers=asha)).status_code == 200
    assert [version for version, _ in api.notes.blocks] == [1, 1, 1]


@pytest.mark.parametrize(
    ("mobile", "status", "code"),
    [(A, 400, "self_block"), ("919800009999", 404, "no_such_person"), ("12", 400, "bad_mobile")],
)
async def test_impossible_blocks_are_errors(
    api: Api, asha: dict[str, str], mobile: str, status: int, code: str
) -> None:
    block = await api.client.post("/block-action/block", json={"blockedUserMobileNo": mobile}, headers=asha)
    unblock = await api.client.delete(f"/block-action/unblock?mobileNo={mobile}", headers=asha)
    for answer in (block, unblock):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert api.notes.changes == []


async def test_a_block_that_redis_did_not_get_is_not_confirmed_and_a_retry_repairs_it(
    api: Api, asha: dict[str, str]
) -> None:
    api.notes.fail = ApiError("unavailable")
    first = await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=asha)
    assert (first.status_code, first.json()["code"]) == (503, "unavailable")
    assert int(first.headers["retry-after"]) > 0
    api.notes.fail = None
    again = await api.client.post("/block-action/block", json={"blockedUserMobileNo": B}, headers=asha)
    assert again.status_code == 200
    assert api.notes.blocks == [(1, [B])]
