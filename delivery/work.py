"""What one person's frames cost a server, over all their connections to it.

Bounded per connection alone, a client that is slowed down would connect anew and have everything again.
"""

import time
from typing import Final

from protocol.token_bucket import TokenBucket

TIDIED_AT: Final = 1000
BYTES_A_UNIT: Final = 4096
"""The unit of work is one small frame. So many bytes are as much."""
IDS_A_UNIT: Final = 4
"""Names of entries that are not in flight: each is looked at, and nothing comes of it."""


class Work:
    """One bucket for each person who is, or was lately, connected."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}
        self._tidy_at = TIDIED_AT

    def bucket(self, mobile: str, rate: float, burst: float) -> TokenBucket:
        """The person's. Its clock is ``time.monotonic``.

        :param rate: units of work a second
        :param burst: units at once
        """
        bucket = self._buckets.get(mobile)
        if bucket is None:
            now = time.monotonic()
            if len(self._buckets) >= self._tidy_at:
                self._tidy(now)
            bucket = self._buckets[mobile] = TokenBucket(rate, burst, now)
        return bucket

    def _tidy(self, now: float) -> None:
        """A bucket that is full holds nothing against anybody. A connection that still has it keeps its own."""
        self._buckets = {mobile: bucket for mobile, bucket in self._buckets.items() if not bucket.is_full(now)}
        self._tidy_at = max(TIDIED_AT, 2 * len(self._buckets))
