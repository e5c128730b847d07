"""People who use the Python client against the product."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from whatsapp_mini import Client

from tests.support.people import PASSWORD, new_mobile

Newcomer = Callable[..., Client]


@pytest.fixture
async def newcomer() -> AsyncIterator[Newcomer]:
    """Makes a client of somebody without an account yet: ``await newcomer(url).sign_up("Asha")``.

    At the end all of them are stopped, and no task of theirs may be left.
    """
    clients: list[Client] = []

    def make(url: str, mobile_no: str = "", **how: Any) -> Client:
        clients.append(Client(url, mobile_no or new_mobile(), PASSWORD, **how))
        return clients[-1]

    yield make
    for client in clients:
        await client.stop(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()
