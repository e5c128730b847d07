"""What all clients of a workload share: the history, the addresses of the servers, an HTTP client, and counters."""

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import httpx

from tools.chaos.history import History

HTTP_SECONDS: Final = 6.5
"""One request may take so long: the servers promise to refuse within 6."""


class HttpResponse(NamedTuple):
    """``status`` 0: there was none, and the server may have executed the request all the same, now or later."""

    status: int
    body: dict[str, Any]
    seconds: float


class HttpClient:
    """One for all clients. It raises nothing because a server is in trouble.

    :param addresses: called for each request; gives the base URLs of the servers
    """

    def __init__(self, addresses: Callable[[], Sequence[str]], rng: random.Random) -> None:
        self._addresses, self._rng = addresses, rng
        self._client = httpx.AsyncClient(timeout=HTTP_SECONDS, verify=False, trust_env=False)  # noqa: S501 - plain http
        self.numbers = itertools.count(1)
        """For requests that go into the history."""

    async def request(self, method: str, path: str, token: str = "", **options: Any) -> HttpResponse:
        """One request to any of the servers."""
        url = self._rng.choice(self._addresses()) + path
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        began = time.monotonic()
        try:
            response = await self._client.request(method, url, headers=headers, **options)
        except httpx.HTTPError:
            return HttpResponse(0, {}, time.monotonic() - began)
        return HttpResponse(response.status_code, _json_object(response), time.monotonic() - began)

    async def close(self) -> None:
        """No more requests are made."""
        await self._client.aclose()


def _json_object(response: httpx.Response) -> dict[str, Any]:
    """A body that is something else counts as empty. The status is what matters then."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Shared:
    """One for a workload.

    :param addresses: ``http://host:port`` of each server group; they may be replaced at any time
    """

    def __init__(self, history: History, addresses: Sequence[str], rng: random.Random) -> None:
        self.history = history
        self.addresses = list(addresses)
        self.rng = rng
        self.http = HttpClient(lambda: self.addresses, rng)
        self.connections = itertools.count(1)
        self.sessions = itertools.count(1)
        self.counts: Counter[str] = Counter()
        """Chats, each counted once: ``begun``, ``acknowledged``, ``delivered``, ``receipts``."""
        self.receipted: set[tuple[str, str, str]] = set()
        """Chats with a receipt at any device of their sender, as (sender, recipient, messageId)."""
        self._delivered: set[tuple[str, str, str]] = set()
        self.mobiles: list[str] = []
        self.storage_lost = False
        """Whether a client was notified that storage lost something."""

    def count_delivery(self, sender: str, to: str, message_id: str) -> None:
        """A chat came to a device of its recipient; it counts once."""
        self.counts["delivered"] += (sender, to, message_id) not in self._delivered
        self._delivered.add((sender, to, message_id))

    def new_mobile(self) -> str:
        """A random mobile number. It may have an account."""
        return str(self.rng.randrange(8_000_000_000, 9_000_000_000))

    def any_mobile(self) -> str:
        """The mobile number of one of the clients."""
        return self.rng.choice(self.mobiles)
