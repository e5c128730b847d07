"""A link on which replies get lost, scripts run twice, and time is the model's."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final, Literal, NamedTuple

from delivery.redis.client import Arg, OnReply, RedisClient
from delivery.scripts import Script
from protocol.errors import ApiError
from settings import Settings
from tests.delivery.models.clocks import KEY, PRELUDE, Clocks
from tools.chaos.breakages import Breakage


class Fault(NamedTuple):
    """What happens to the scripts of one operation.

    :param kind: ``twice``: each runs twice, the first reply is lost; ``cut``: the connection breaks after the
        ``at``-th ran and before its reply; ``lost``: before it ran
    """

    kind: Literal["none", "twice", "cut", "lost"]
    at: int = 1


NONE: Final = Fault("none")


@dataclass(frozen=True, slots=True)
class Ran:
    """One script that Redis executed."""

    name: str
    keys: Sequence[str]
    args: Sequence[Arg]
    reply: Any


@lru_cache(maxsize=256)
def dressed(script: Script, breakage: Breakage | None) -> Script:
    """The script at model time, broken if it is one of those to break.

    :raises LookupError: the text to be replaced is not in it
    """
    broken = breakage if breakage is not None and script.name in breakage.scripts else None
    prelude = PRELUDE.replace("--TAPS", broken.tap if broken else "")
    first, _, rest = script.text.partition("\n")
    if broken and broken.replace:
        before, after = broken.replace
        if before not in rest:
            raise LookupError(f"{script.name} does not say {before!r} any more")
        rest = rest.replace(before, after)
    text = first + prelude + rest
    return replace(script, text=text, sha=sha1(text.encode(), usedforsecurity=False).hexdigest())


class FaultyClient(RedisClient):
    """``log`` tells what ran since it was emptied last."""

    def __init__(self, settings: Settings, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__(settings)
        self._clocks = clocks
        self._breakage = breakage
        self._fault, self._calls = NONE, 0
        self._asked: asyncio.Task[None] | None = None  # nothing else would hold it
        self.log: list[Ran] = []
        self.told = -1
        """The time that Redis has been told."""

    def begin(self, fault: Fault) -> None:
        """The next operation, and what happens to it."""
        self._fault, self._calls = fault, 0
        self.log.clear()

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> Any:
        """As the link's own, roughly."""
        self._calls += 1
        struck = self._calls == self._fault.at
        if struck and self._fault.kind == "lost":
            self._break()
        reply = await self._run(script, keys, args)
        if self._fault.kind == "twice":
            reply = await self._run(script, keys, args)
        if struck and self._fault.kind == "cut":
            self._break()
        return reply

    def request(self, script: Script, keys: Sequence[str], args: Sequence[Arg], on_reply: OnReply) -> None:
        """The same with a callback."""

        async def tell() -> None:
            try:
                reply = await self.call(script, keys, args)
            except Exception as error:  # noqa: BLE001 - told, as the link's own does
                reply = error
            on_reply(reply)

        self._asked = asyncio.get_running_loop().create_task(tell())

    def _break(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        raise ApiError("unavailable")

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        if self.told != self._clocks.redis_ms:
            await self.command("SET", KEY, self._clocks.redis_ms)
            self.told = self._clocks.redis_ms
        reply = await super().call(dressed(script, self._breakage), keys, args)
        self.log.append(Ran(script.name, keys, args, reply))
        return reply
