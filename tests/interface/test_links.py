"""Every link of the OpenAPI document can be followed: what it takes from an answer is there, and the next takes it."""

import json
from typing import Any

import httpx
import pytest

from handlers.openapi import document
from tests.support.people import NO_TLS, PASSWORD, new_mobile, sign_up
from tests.support.stack import ServerGroup

DOCUMENT: dict[str, Any] = json.loads(document())
BY_ID = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
LINKS = [
    (name, to)
    for name, (_, _, operation) in BY_ID.items()
    for to in operation["responses"].get("200", {}).get("links", {})
    if not name.endswith(("Head", "Options"))
]


def looked_up(expression: str, asked: Any, answered: Any) -> Any:
    """A runtime expression of OpenAPI, of the kinds that are used here."""
    place, _, pointer = expression.partition("#/")
    found = {"$request.body": asked, "$response.body": answered}[place]
    for part in pointer.split("/"):
        found = found[int(part) if isinstance(found, list) else part]
    return found


async def call(client: httpx.AsyncClient, name: str, body: Any, parameters: dict[str, Any]) -> httpx.Response:
    method, path, operation = BY_ID[name]
    query = {}
    for each in operation.get("parameters", ()):
        if each["name"] in parameters:
            query |= {each["name"]: parameters[each["name"]]} if each["in"] == "query" else {}
            path = path.replace(f"{{{each['name']}}}", str(parameters[each["name"]]))
    return await client.request(method, path, params=query, **({"json": body} if body is not None else {}))


@pytest.mark.parametrize(("name", "to"), LINKS, ids=[f"{name} to {to}" for name, to in LINKS])
async def test_a_link_leads_from_a_success_to_a_success(product: ServerGroup, name: str, to: str) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    async with httpx.AsyncClient(base_url=product.url, headers=asha.headers, verify=NO_TLS, timeout=15) as client:
        log_in = {"mobileNo": asha.mobile, "password": PASSWORD}
        fresh = (await client.post("/auth/login", json=log_in)).json()
        blocked = {"blockedUserMobileNo": ravi.mobile}
        bodies = {
            "signUp": {"name": "Eve", "mobileNo": new_mobile(), "password": PASSWORD},
            "logIn": log_in,
            "refresh": {"refreshToken": fresh["refreshToken"]},
            "block": blocked,
        }
        (await client.post("/block-action/block", json=blocked)).raise_for_status()
        asked = bodies.get(name)
        first = (await call(client, name, asked, {})).raise_for_status().json()
        link = BY_ID[name][2]["responses"]["200"]["links"][to]
        parameters = {key: looked_up(each, asked, first) for key, each in link.get("parameters", {}).items()}
        wanted = link.get("requestBody")
        body = {key: looked_up(each, asked, first) for key, each in wanted.items()} if wanted else None
        second = await call(client, link["operationId"], body, parameters)
        assert second.status_code == 200, second.text


def test_there_are_links() -> None:
    assert {("signUp", "logIn"), ("logIn", "refresh"), ("refresh", "refresh")} <= set(LINKS)
