"""When to connect, when to wait, and when to give up (C9–C16). It knows nothing of what travels."""

from random import Random
from typing import Final

from whatsapp_mini.core.effects import Do, Emit, EndSocket, ForgetSession, OpenSocket
from whatsapp_mini.errors import ApiError
from whatsapp_mini.events import ConnectionName, ConnectionState, StateChanged

HELLO_SECONDS: Final = 10.0
PONG_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 10.0
"""A connection that was online for so long has ended the row of failures (C11)."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
SPREAD: Final = 1.0
"""A pause that the server asked for is longer by up to so many seconds (C12)."""
TOKEN_EXPIRED: Final = 4501
LOGGED_OUT: Final = 4509
FINAL: Final = (1008, 1011)


class Connection:
    """One socket after the other. ``do`` takes effects; ``rng`` gives the jitter."""

    def __init__(self, do: Do, rng: Random) -> None:
        self._do, self._rng = do, rng
        self.state = ConnectionState("off")
        self.round = 0
        self.retry_after: float | None = None
        """What the server's ``draining`` said on this connection."""
        self._failures = 0
        self._free = True
        """Whether the next connection may come without a pause, where a rule allows it: once, until the server has
        been heard on a connection for 10 s."""
        self._ping_seconds = 20.0
        self._hello_by: float | None = None
        self._online_since = self._heard_at = 0.0
        self._pinged_at: float | None = None
        self._until: float | None = None

    @property
    def is_online(self) -> bool:
        """Whether ``hello`` came on the socket that is open."""
        return self.state.name == "online"

    @property
    def is_trying(self) -> bool:
        """Whether it is online, or tries to be."""
        return self.state.name in ("connecting", "online", "pausing")

    def connect(self, refresh: bool = False) -> None:
        """Open a socket, whatever the state was."""
        self._let_go(None)
        self.round += 1
        self.retry_after = None
        self._turn("connecting")
        self._do(OpenSocket(self.round, refresh))

    def opening(self, now: float) -> None:
        """The ticket is there, and the socket is about to be opened: ``hello`` must come within 10 s (C10)."""
        self._hello_by = now + HELLO_SECONDS

    def hello(self, ping_seconds: float, now: float) -> None:
        """The server greets."""
        self._hello_by = None
        self._ping_seconds = ping_seconds
        self._online_since = now
        self._turn("online")

    def heard(self, now: float) -> None:
        """Something came."""
        self._heard_at = now
        self._pinged_at = None

    def end(self, name: ConnectionName, code: int | str | None = None, reason: str | None = None) -> None:
        """Be ``off``, ``stopped`` or ``loggedOut``, and close the socket properly."""
        self._let_go(1000)
        self.round += 1
        self._turn(name, code=code, reason=reason)

    def refused(self, error: ApiError, now: float) -> None:
        """No socket was opened: the ticket or the upgrade was refused, or nobody answered (C14)."""
        if error.code == "too_many_devices":
            self.end("stopped", error.code, error.message)
        else:
            self.pause(error.retry_after, error.message, now)

    def closed(self, code: int, reason: str, now: float) -> None:
        """The socket ended (C13)."""
        self._steady(now)
        if code == TOKEN_EXPIRED:
            self._again(now, refresh=True, reason="The token had expired.")
        elif code == LOGGED_OUT:
            self._do(ForgetSession())
            self.end("loggedOut", code, reason or "This session was logged out.")
        elif code in FINAL or 4500 <= code <= 4999:
            self.end("stopped", code, reason or "The server closed the connection.")
        else:
            self.pause(self.retry_after, reason or "The connection was lost.", now)

    def give_up(self, reason: str, now: float) -> None:
        """The connection is of no use any more: leave it without waiting for TCP, and pause."""
        self._steady(now)
        self.pause(self.retry_after, reason, now)

    def pause(self, retry_after: float | None, reason: str, now: float) -> None:
        """Full jitter (C11), or what the server asked for and a little more (C12)."""
        self._let_go(None)
        self.round += 1
        limit = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        if retry_after is None:
            self._until = now + self._rng.uniform(0, limit)
        else:
            self._until = now + retry_after + self._rng.uniform(0, SPREAD)
        self._turn("pausing", until=self._until, reason=reason)

    def tick(self, now: float) -> bool:
        """What is due. Whether the connection was found dead just now: the caller must know before it goes on."""
        if self._until is not None and now >= self._until:
            self.connect()
        elif self._hello_by is not None and now >= self._hello_by:
            self.give_up("The server did not greet.", now)
        elif self._pinged_at is not None and now >= self._pinged_at + PONG_SECONDS:
            return True
        return False

    def dead(self, now: float) -> None:
        """A ping was not answered: connect at once, but once in a row of failures (C15)."""
        self._steady(now)
        self._again(now, refresh=False, reason="The server did not answer.")

    def wants_ping(self, now: float) -> bool:
        """Whether nothing was heard for so long that the client has to ask."""
        wants = self.is_online and self._pinged_at is None and now >= self._heard_at + self._ping_seconds
        if wants:
            self._pinged_at = now
        return wants

    def deadline(self) -> float | None:
        """When ``tick`` has something to do."""
        if self._until is not None or self._hello_by is not None:
            return self._until if self._hello_by is None else self._hello_by
        if not self.is_online:
            return None
        return self._heard_at + self._ping_seconds if self._pinged_at is None else self._pinged_at + PONG_SECONDS

    def _again(self, now: float, *, refresh: bool, reason: str) -> None:
        if self._free:
            self._free = False
            self.connect(refresh)
        else:
            self.pause(None, reason, now)

    def _steady(self, now: float) -> None:
        if self.is_online and now >= self._online_since + STEADY_SECONDS:
            self._failures = 0
        if self.is_online and self._heard_at >= self._online_since + STEADY_SECONDS:
            self._free = True

    def _let_go(self, code: int | None) -> None:
        if self.state.name in ("connecting", "online"):
            self._do(EndSocket(code))
        self._hello_by = self._pinged_at = self._until = None

    def _turn(
        self,
        name: ConnectionName,
        until: float | None = None,
        code: int | str | None = None,
        reason: str | None = None,
    ) -> None:
        self.state = ConnectionState(name, until, code, reason)
        self._do(Emit(StateChanged(self.state)))
