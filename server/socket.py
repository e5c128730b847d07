"""The seam between what turns bytes into calls (this room) and what the calls mean (the connection in delivery).

Whatever speaks WebSocket implements :class:`Socket`; whoever wants to know what a client says implements
:class:`Listener`. Neither knows more of the other than what is written here, so either can be exchanged alone.
"""

from typing import Protocol

from protocol.errors import Close


class Listener(Protocol):
    """What a connection offers its socket. The callbacks are synchronous: they never await and never raise."""

    def received(self, data: str | bytes) -> float:
        """One whole message. ``bytes`` means that it was a binary message.

        :returns: seconds for which nothing more should be read, because the client sends too much; usually 0.0
        """

    def caught_up(self) -> None:
        """All that came so far was given to :meth:`received`: now is the time to do together what goes together."""

    def alive(self) -> None:
        """Bytes came: a frame, a pong, or a part of one. Called before what they hold is read."""

    def ponged(self, mark: int) -> None:
        """The pong that answers the ping ``mark``, and with it every earlier one."""

    def offended(self) -> None:
        """The client broke the protocol or sends too much: the socket is closed for that, and :meth:`lost` follows."""

    def lost(self, code: int, reason: str) -> None:
        """The socket is gone. Called exactly once, whatever happened, and nothing is called after it.

        :param code: the client's close code; without one ours, when we closed; else 1006
        """

    @property
    def full(self) -> bool:
        """Whether no message may be given to :meth:`received` for now. A few are then kept below, and more is not read.

        A listener calls :meth:`Socket.resume` whenever it may have room again. At the end of the socket it gets what is
        left even so.
        """


class Socket(Protocol):
    """What a socket offers its connection. After the end every call is a no-op."""

    def send(self, text: bytes) -> None:
        """Queue one text message (UTF-8). Never blocks, keeps the order.

        More than 1 MiB unsent drops the queue and closes with 4001.
        """

    def ping(self) -> int:
        """Send a ping, after what is queued already; return its mark. Marks rise over the socket's life."""

    def close(self, close: Close) -> None:
        """Say goodbye after what is queued has been written, then end the connection; at most WRITE_SECONDS later.

        The first close decides; nothing is received after it.
        """

    def resume(self) -> None:
        """The listener has room. May call it back at once; a no-op when nothing waits for room.

        The socket alone knows whether something waits: a listener that kept its own memory of having been full could
        forget it, and the client would never be read again.
        """

    @property
    def spoke(self) -> bool:
        """Whether messages wait for the listener: the client said something."""

    @property
    def closing(self) -> bool:
        """Whether the end has begun, from either side."""

    @property
    def waits_for_room(self) -> bool:
        """Whether the client is not read, and nothing but the listener's having no room is the cause of that."""

    @property
    def unsent(self) -> int:
        """Bytes queued and not yet handed to the operating system's side."""

    async def drained(self) -> None:
        """Return when little is unsent (64 KiB), or the socket is gone."""
