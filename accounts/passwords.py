"""Passwords: normalised, and hashed in a few threads of their own, with a bounded queue. Never on the event loop."""

import asyncio
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

import bcrypt

from protocol.errors import ApiError

T = TypeVar("T")

MAX_BYTES: Final = 72
"""What bcrypt uses of a password, in UTF-8. A longer one is an error: truncated, two passwords could be the same."""

QUEUE_SECONDS: Final = 3.0
"""Half of the six seconds in which every request is answered: finding the person and hashing take time, too."""

UNKNOWN_SHARE: Final = 4
"""One hash in so many is for an unknown device: known devices must not keep new ones out for good."""

# Every space separator but that of ASCII.
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


class Standing(NamedTuple):
    """The priority of a request in the queue.

    :param known: from a device and address that logged in before: such requests have a queue of their own
    :param used: recent attempts; within a queue requests with fewer go first
    """

    known: bool = True
    used: int = 0


ORDINARY: Final = Standing()


class _Job:
    """A hash that waits for a thread or is being computed. ``result`` is set in the end, or fails."""

    __slots__ = ("rank", "result", "standing", "work")

    def __init__(self, standing: Standing, number: int, work: Callable[[], Any]) -> None:
        self.standing = standing
        self.rank = (standing.used, number)
        self.work = work
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Passwords:
    """bcrypt with two queues: for known devices, and for all others. Neither can fill the other one.

    :param rounds: cost; 12 is 240-460 ms of one core
    :param threads: hashes computed at once
    :param waiting: places in each queue
    :param queue_seconds: how long a request may wait; on a slow machine this limit is reached before the places are
    """

    def __init__(self, rounds: int, threads: int, waiting: int, queue_seconds: float = QUEUE_SECONDS) -> None:
        self._rounds = rounds
        self._queue_seconds = queue_seconds
        self._threads = threads
        self._places = waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._running = 0
        self._queues: dict[bool, list[_Job]] = {True: [], False: []}
        self._numbers = count()
        self._turns = count(1)
        # Checking a password against this takes as long as against a real hash, and always fails.
        self._dummy_hash = bcrypt.gensalt(rounds) + b"." * 31

    async def hash(self, password: str, standing: Standing = ORDINARY) -> str:
        """:raises ApiError: ``bad_request`` over 72 bytes, ``busy``"""
        secret = normalised(password).encode()
        if len(secret) > MAX_BYTES:
            raise _too_long()
        return (await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)), standing)).decode()

    async def replace(self, current: str, hashed: str, new: str, standing: Standing = ORDINARY) -> str | None:
        """The hash of a new password, if the current one has this hash; else None. One place in the queue for both.

        :raises ApiError: ``bad_request`` over 72 bytes, ``busy``
        """
        secrets, secret = forms(current), normalised(new).encode()
        if not secrets:
            raise _too_long("currentPassword")
        if len(secret) > MAX_BYTES:
            raise _too_long("newPassword")

        def replaced() -> bytes | None:
            if not any(bcrypt.checkpw(given, hashed.encode()) for given in secrets):
                return None
            return bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds))

        found = await self._run(replaced, standing)
        return None if found is None else found.decode()

    async def verify(self, password: str, hashed: str | None, standing: Standing = ORDINARY) -> bool:
        """Whether the password has this hash. With None (nobody has this number): False, after the same time.

        :raises ApiError: ``bad_request`` over 72 bytes, ``busy``
        """
        secrets, known = forms(password), hashed.encode() if hashed else self._dummy_hash
        if not secrets:
            raise _too_long()

        def matches() -> bool:
            # A failure takes the time of all forms, whether somebody has this number or not.
            return any(bcrypt.checkpw(secret, known) for secret in secrets)

        return await self._run(matches, standing) and hashed is not None

    def close(self) -> None:
        """End the queues; hashes being computed end by themselves."""
        for queue in self._queues.values():
            for job in queue:
                _reject(job)
            queue.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T], standing: Standing) -> T:
        job = _Job(standing, next(self._numbers), work)
        if self._running < self._threads:
            self._start(job)
        else:
            self._enqueue(job)
        try:
            await asyncio.wait({job.result}, timeout=self._queue_seconds)
            if self._remove(job):
                raise ApiError("busy")
            result: T = await job.result
            return result
        except asyncio.CancelledError:
            self._remove(job)
            raise

    def _enqueue(self, job: _Job) -> None:
        """:raises ApiError: ``busy``"""
        queue = self._queues[job.standing.known]
        if len(queue) >= self._places:
            last = max(queue, key=lambda waiting: waiting.rank, default=job)
            if last.rank <= job.rank:
                raise ApiError("busy")
            # A request with many recent attempts makes room for one with few.
            queue.remove(last)
            _reject(last)
        queue.append(job)

    def _remove(self, job: _Job) -> bool:
        """Take it out of its queue; whether it was there. A hash that is being computed cannot be stopped."""
        queue = self._queues[job.standing.known]
        if job in queue:
            queue.remove(job)
            return True
        return False

    def _start(self, job: _Job) -> None:
        # Counted until the thread has finished: a client that disconnects does not free its thread.
        self._running += 1
        loop = asyncio.get_running_loop()

        def finished(done: "Future[Any]") -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finish, job, done)

        self._pool.submit(job.work).add_done_callback(finished)

    def _finish(self, job: _Job, done: "Future[Any]") -> None:
        self._running -= 1
        if (following := self._next()) is not None:
            self._start(following)
        if job.result.done():
            return  # its caller was cancelled
        if done.cancelled():
            _reject(job)
        elif (error := done.exception()) is not None:
            job.result.set_exception(error)
        else:
            job.result.set_result(done.result())

    def _next(self) -> _Job | None:
        known, unknown = self._queues[True], self._queues[False]
        if not known and not unknown:
            return None
        unknown_first = next(self._turns) % UNKNOWN_SHARE == 0
        queue = unknown if (unknown_first and unknown) or not known else known
        job = min(queue, key=lambda waiting: waiting.rank)
        queue.remove(job)
        return job


def normalised(password: str) -> str:
    """In NFC and with ASCII spaces, as RFC 8265 (OpaqueString) says: an é typed on two systems is one password."""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", password))


def forms(password: str) -> list[bytes]:
    """What a stored hash may be of, in UTF-8: the normal form, then the form as given, which older hashes were made of.
    Without forms that are too long for bcrypt.

    Their number depends on the password alone, never on the account.
    """
    given = dict.fromkeys((normalised(password), password))
    return [form for text in given if len(form := text.encode()) <= MAX_BYTES]


def fits(password: str) -> bool:
    """Whether a form of it is short enough for bcrypt."""
    return bool(forms(password))


def _too_long(field: str = "password") -> ApiError:
    return ApiError("bad_request", [{"field": field, "message": f"{field} takes at most 72 bytes in UTF-8"}])


def _reject(job: _Job) -> None:
    if not job.result.done():
        job.result.set_exception(ApiError("busy"))
