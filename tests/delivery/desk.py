"""Ravi's connection as the parts above it know it, and a hand that holds up what they ask for."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from protocol.errors import Close

Frame = dict[str, Any]


class Desk:
    """Fits sends.Desk and carrier.Road of delivery.connection: notes what is said, runs what is to be done."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.ended = False
        self.errors: list[BaseException] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    def say(self, frames: Sequence[bytes]) -> None:
        self.frames += [msgspec.json.decode(frame) for frame in frames]

    async def carry(self, frames: Sequence[bytes]) -> None:
        self.say(frames)

    def done(self, error: BaseException | None = None) -> None:
        self.errors += [] if error is None else [error]

    @property
    def slow(self) -> bool:
        return False

    def confirm(self, receipts: Sequence[str]) -> None: ...

    def close(self, close: Close) -> None:
        raise AssertionError(close)

    def lease_gone(self) -> None:
        raise AssertionError

    async def idle(self) -> None:
        """Until all that was begun is over; its errors come up here."""
        while self.tasks:
            await self.tasks.pop(0)


class Gate:
    """Holds up every call of one asynchronous method until :meth:`open`; ``calls`` has the arguments of all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, method: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._opened = asyncio.Event()
        self._real = getattr(owner, method)
        monkeypatch.setattr(owner, method, self._held)

    def open(self) -> None:
        """Let those who wait through, and whoever comes."""
        self._opened.set()

    async def _held(self, *args: Any, **named: Any) -> Any:
        self.calls.append(args)
        await self._opened.wait()
        return await self._real(*args, **named)


class CallGate:
    """The same for a method that is told how to go on instead of being awaited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, method: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._waiting: list[tuple[Any, ...]] | None = []
        self._real = getattr(owner, method)
        monkeypatch.setattr(owner, method, self._held)

    def open(self) -> None:
        """Let those who wait through, and whoever comes."""
        waiting, self._waiting = self._waiting or [], None
        for args in waiting:
            self._real(*args)

    def _held(self, *args: Any) -> None:
        self.calls.append(args)
        if self._waiting is None:
            self._real(*args)
        else:
            self._waiting.append(args)
