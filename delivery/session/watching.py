"""What a client may ask about other people's presence, and say of its user's typing."""

from typing import Final

TYPING_SECONDS: Final = 1.0
"""To one recipient at most one ``typing`` in so long; more are dropped, and get no answer."""
MOST_TYPED_TO: Final = 20
"""Recipients in that time: nobody types faster."""
WATCHES_UNDER_WAY: Final = 4
"""Above it the client is not read."""


class TypingThrottle:
    """Which ``typing`` is passed on. Times are monotonic seconds."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[str, float] = {}

    def admits(self, to: str, now: float) -> bool:
        """Whether one to this recipient is passed on now."""
        if now - self._sent.get(to, -TYPING_SECONDS) < TYPING_SECONDS:
            return False
        if len(self._sent) >= MOST_TYPED_TO:
            self._sent = {other: at for other, at in self._sent.items() if now - at < TYPING_SECONDS}
            if len(self._sent) >= MOST_TYPED_TO:
                return False
        self._sent[to] = now
        return True
