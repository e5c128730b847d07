"""Passwords: hashed in a few threads of their own, never on the event loop, and never more at once than admitted."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import bcrypt

from accounts.password_forms import MAX_BYTES, forms, normalised
from protocol.refusals import Refusal

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Half of the six seconds in which everything is answered: looking the person up and hashing take time, too."""


class Passwords:
    """bcrypt behind an admission limit.

    :param rounds: cost; 12 is 240-460 ms of one core
    :param threads: hashes computed at once
    :param waiting: how many more may wait for a thread
    :param patience: seconds one may wait for it: on a slow or loaded machine time is over before the places are
    """

    def __init__(self, rounds: int, threads: int, waiting: int, patience: float = PATIENCE) -> None:
        self._rounds = rounds
        self._patience = patience
        self._limit = threads + waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._jobs: set[Future[Any]] = set()
        # Checking against this costs what checking against a real hash costs, and always fails.
        self._nobody = bcrypt.gensalt(rounds) + b"." * 31

    async def hash(self, password: str) -> str:
        """:raises Refusal: ``bad_request`` over 72 bytes, ``busy``"""
        secret = normalised(password).encode()
        if len(secret) > MAX_BYTES:
            raise _too_long()
        return (await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)))).decode()

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the one hashed; with None (nobody has this number) no, after the same time.

        :raises Refusal: ``bad_request`` over 72 bytes, ``busy``
        """
        secrets, known = forms(password), hashed.encode() if hashed else self._nobody
        if not secrets:
            raise _too_long()
        # Who fails pays for each form, whether somebody has this number or not.
        return await self._run(lambda: any(bcrypt.checkpw(secret, known) for secret in secrets)) and hashed is not None

    def close(self) -> None:
        """Take no more; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        # Counted by the threads' own futures: a client who hangs up does not free the thread that works for him.
        self._jobs = {job for job in self._jobs if not job.done()}
        if len(self._jobs) >= self._limit:
            raise Refusal("busy")
        job = self._pool.submit(work)
        self._jobs.add(job)
        answer = asyncio.wrap_future(job)
        try:
            await asyncio.wait({answer}, timeout=self._patience)
            if not answer.done() and job.cancel():  # a running one cannot be cancelled any more
                raise Refusal("busy")
            return await answer
        except asyncio.CancelledError:
            job.cancel()
            raise


def fits(password: str) -> bool:
    """Whether bcrypt can take it whole."""
    return bool(forms(password))


def _too_long() -> Refusal:
    return Refusal("bad_request", [{"field": "password", "message": "password takes at most 72 bytes in UTF-8"}])
