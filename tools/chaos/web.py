"""People's HTTP requests: to any of the servers, never raising because a server is in trouble."""

import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import httpx

PATIENCE: Final = 6.5
"""Seconds one request may take: the servers promise to refuse within 6."""


class Reply(NamedTuple):
    """``status`` 0: there was no answer, and it may have been done all the same, now or later."""

    status: int
    body: dict[str, Any]
    seconds: float


class Web:
    """One HTTP client for all.

    :param addresses: asked at each request for the base URLs of the servers
    """

    def __init__(self, addresses: Callable[[], Sequence[str]], rng: random.Random) -> None:
        self._addresses, self._rng = addresses, rng
        self._client = httpx.AsyncClient(timeout=PATIENCE, verify=False, trust_env=False)  # noqa: S501 - plain http
        self.request_numbers = itertools.count(1)
        """Numbers for requests that are noted."""

    async def request(self, method: str, path: str, token: str = "", **how: Any) -> Reply:
        """One request."""
        url = self._rng.choice(self._addresses()) + path
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        began = time.monotonic()
        try:
            answer = await self._client.request(method, url, headers=headers, **how)
        except httpx.HTTPError:
            return Reply(0, {}, time.monotonic() - began)
        return Reply(answer.status_code, _body(answer), time.monotonic() - began)

    async def close(self) -> None:
        """No more requests."""
        await self._client.aclose()


def _body(answer: httpx.Response) -> dict[str, Any]:
    """What is no JSON object is an answer all the same: its status is what is looked at."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
