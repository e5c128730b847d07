"""How much work one person may cause on a server, over all their connections to it.

With a limit for each connection only, a client that is slowed down would reconnect and have the whole limit again.
"""

import time
from typing import Final

from protocol.token_bucket import TokenBucket

CLEAN_UP_AT: Final = 1000
"""Buckets, beyond which full ones are deleted."""
BYTES_A_UNIT: Final = 4096
"""One unit of work is a small frame, or so many bytes."""
IDS_A_UNIT: Final = 4
"""Ids in an ack that are not in flight cost work as well: so many are one unit."""


class Work:
    """One bucket for each person who is, or was lately, connected."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}
        self._clean_up_at = CLEAN_UP_AT

    def bucket(self, mobile: str, rate: float, burst: float) -> TokenBucket:
        """The person's bucket. Its clock is ``time.monotonic``.

        :param rate: units of work a second
        :param burst: units at once
        """
        bucket = self._buckets.get(mobile)
        if bucket is None:
            now = time.monotonic()
            if len(self._buckets) >= self._clean_up_at:
                self._clean_up(now)
            bucket = self._buckets[mobile] = TokenBucket(rate, burst, now)
        return bucket

    def _clean_up(self, now: float) -> None:
        """Delete full buckets: new ones would be the same. A connection that still has one goes on using it."""
        self._buckets = {mobile: bucket for mobile, bucket in self._buckets.items() if not bucket.is_full(now)}
        self._clean_up_at = max(CLEAN_UP_AT, 2 * len(self._buckets))
