"""What was read here, until the server has been told of it (C34)."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from whatsapp_mini.core.effects import Do, SendFrame

READ_IDS: Final = 100
TOLD_SECONDS: Final = 10.0
"""A read has no answer. When its connection has lived on for so long without a refusal, it has come through."""
FIRST_RETRY: Final = 1.0


class Reads:
    """Sends reads, and sends them again after a reconnect or a refusal."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._untold: dict[str, dict[str, None]] = {}
        self._sent: deque[tuple[float, str, tuple[str, ...]]] = deque()
        """When each frame counts as told, and what it named."""
        self._again_at = 0.0
        """Until then the server refuses; 0: it does not."""

    def load(self, reads: Iterable[tuple[str, Sequence[str]]]) -> None:
        """What the store had."""
        self._untold = {peer: dict.fromkeys(ids) for peer, ids in reads}

    def read(self, peer: str, ids: Sequence[str], is_online: bool, now: float) -> None:
        """It is kept that these were read here."""
        untold = self._untold.setdefault(peer, {})
        new = [id for id in dict.fromkeys(ids) if id not in untold]
        untold.update(dict.fromkeys(new))
        if is_online and not self._again_at:
            self._send(peer, new, now)

    def connected(self, now: float) -> None:
        """``hello`` came."""
        self._send_all(now)

    def disconnected(self) -> None:
        """What was sent may not have come through."""
        self._sent.clear()
        self._again_at = 0.0

    def refused(self, retry_after: float | None, now: float) -> None:
        """A retryable refusal of an acknowledgement. It names only some of the ids, so all are sent again."""
        if self._sent:
            self._sent.clear()
            self._again_at = now + (retry_after or FIRST_RETRY)

    def tick(self, now: float) -> list[tuple[str, tuple[str, ...]]]:
        """Do what is due; peers and ids of which the server has been told by now."""
        if 0 < self._again_at <= now:
            self._send_all(now)
        told = []
        while self._sent and self._sent[0][0] <= now:
            _, peer, ids = self._sent.popleft()
            told.append((peer, ids))
            left = {id: None for id in self._untold.pop(peer, {}) if id not in ids}
            if left:
                self._untold[peer] = left
        return told

    def deadline(self) -> float | None:
        """When :meth:`tick` has something to do."""
        times = [at for at in (self._again_at, self._sent[0][0] if self._sent else 0.0) if at]
        return min(times, default=None)

    def _send_all(self, now: float) -> None:
        self._again_at = 0.0
        for peer, ids in self._untold.items():
            self._send(peer, list(ids), now)

    def _send(self, peer: str, ids: Sequence[str], now: float) -> None:
        for start in range(0, len(ids), READ_IDS):
            some = tuple(ids[start : start + READ_IDS])
            self._do(SendFrame({"type": "ack", "ackType": "read", "to": peer, "messageIds": list(some)}))
            self._sent.append((now + TOLD_SECONDS, peer, some))
