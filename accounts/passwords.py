"""Passwords: hashed in a few threads of their own, never on the event loop, and never more at once than admitted."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

import bcrypt

from accounts.password_forms import MAX_BYTES, forms, normalised
from protocol.errors import ApiError

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Half of the six seconds in which everything is answered: looking the person up and hashing take time, too."""

STRANGERS_TURN: Final = 4
"""Every so many hashes one is the strangers': a crowd of known devices must not keep a new one out for good."""


class Standing(NamedTuple):
    """What is known of who waits for a hash.

    :param known: whether they logged in from there before: then they wait in the first lane
    :param used: how much they tried lately; within a lane those who tried less go first
    """

    known: bool = True
    used: int = 0


ORDINARY: Final = Standing()


class _Job:
    """A hash that waits for a thread or is being computed. ``answer`` is done when it is, or when it never will be."""

    __slots__ = ("answer", "rank", "standing", "work")

    def __init__(self, standing: Standing, number: int, work: Callable[[], Any]) -> None:
        self.standing = standing
        self.rank = (standing.used, number)
        self.work = work
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Passwords:
    """bcrypt behind two lanes: for known devices, and for all others. Neither can fill the other's places.

    :param rounds: cost; 12 is 240-460 ms of one core
    :param threads: hashes computed at once
    :param waiting: how many more may wait for a thread, in each lane
    :param patience: seconds one may wait for it: on a slow or loaded machine time is over before the places are
    """

    def __init__(self, rounds: int, threads: int, waiting: int, patience: float = PATIENCE) -> None:
        self._rounds = rounds
        self._patience = patience
        self._threads = threads
        self._places = waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._running = 0
        self._waiting: dict[bool, list[_Job]] = {True: [], False: []}
        self._numbers = count()
        self._turns = count(1)
        # Checking against this costs what checking against a real hash costs, and always fails.
        self._nobody = bcrypt.gensalt(rounds) + b"." * 31

    async def hash(self, password: str, standing: Standing = ORDINARY) -> str:
        """:raises ApiError: ``bad_request`` over 72 bytes, ``busy``"""
        secret = normalised(password).encode()
        if len(secret) > MAX_BYTES:
            raise _too_long()
        return (await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)), standing)).decode()

    async def verify(self, password: str, hashed: str | None, standing: Standing = ORDINARY) -> bool:
        """Whether the password is the one hashed; with None (nobody has this number) no, after the same time.

        :raises ApiError: ``bad_request`` over 72 bytes, ``busy``
        """
        secrets, known = forms(password), hashed.encode() if hashed else self._nobody
        if not secrets:
            raise _too_long()

        def fitting() -> bool:
            # Who fails pays for each form, whether somebody has this number or not.
            return any(bcrypt.checkpw(secret, known) for secret in secrets)

        return await self._run(fitting, standing) and hashed is not None

    def close(self) -> None:
        """Take no more; what runs ends by itself."""
        for lane in self._waiting.values():
            for job in lane:
                _refuse(job)
            lane.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T], standing: Standing) -> T:
        job = _Job(standing, next(self._numbers), work)
        if self._running < self._threads:
            self._start(job)
        else:
            self._queue(job)
        try:
            await asyncio.wait({job.answer}, timeout=self._patience)
            if self._gives_up(job):
                raise ApiError("busy")
            answer: T = await job.answer
            return answer
        except asyncio.CancelledError:
            self._gives_up(job)
            raise

    def _queue(self, job: _Job) -> None:
        """:raises ApiError: ``busy``"""
        lane = self._waiting[job.standing.known]
        if len(lane) >= self._places:
            last = max(lane, key=lambda waiting: waiting.rank, default=job)
            if last.rank <= job.rank:
                raise ApiError("busy")
            # Who hammers at the door makes room for who comes for the first time.
            lane.remove(last)
            _refuse(last)
        lane.append(job)

    def _gives_up(self, job: _Job) -> bool:
        """Whether it was still waiting; it is not any more. One that is being computed cannot be stopped."""
        lane = self._waiting[job.standing.known]
        if job in lane:
            lane.remove(job)
            return True
        return False

    def _start(self, job: _Job) -> None:
        # Counted until the thread is through: a client who hangs up does not free the thread that works for them.
        self._running += 1
        loop = asyncio.get_running_loop()

        def through(done: "Future[Any]") -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._through, job, done)

        self._pool.submit(job.work).add_done_callback(through)

    def _through(self, job: _Job, done: "Future[Any]") -> None:
        self._running -= 1
        if (following := self._next()) is not None:
            self._start(following)
        if job.answer.done():
            return  # whoever asked was cancelled
        if done.cancelled():
            _refuse(job)
        elif (error := done.exception()) is not None:
            job.answer.set_exception(error)
        else:
            job.answer.set_result(done.result())

    def _next(self) -> _Job | None:
        known, strangers = self._waiting[True], self._waiting[False]
        if not known and not strangers:
            return None
        strangers_first = next(self._turns) % STRANGERS_TURN == 0
        lane = strangers if (strangers_first and strangers) or not known else known
        job = min(lane, key=lambda waiting: waiting.rank)
        lane.remove(job)
        return job


def fits(password: str) -> bool:
    """Whether bcrypt can take it whole."""
    return bool(forms(password))


def _too_long() -> ApiError:
    return ApiError("bad_request", [{"field": "password", "message": "password takes at most 72 bytes in UTF-8"}])


def _refuse(job: _Job) -> None:
    if not job.answer.done():
        job.answer.set_exception(ApiError("busy"))
