"""The interface between an accepted socket (server) and the connection that lives on it (delivery).

The socket turns bytes into calls, the connection gives them a meaning. Neither knows more of the other than this file
says, so each can be replaced alone.
"""

from collections.abc import Callable
from typing import Protocol

from protocol.errors import Close


class SocketHandler(Protocol):
    """What a connection offers its socket. These calls are synchronous: they never wait and never raise."""

    @property
    def is_full(self) -> bool:
        """Whether :meth:`handle_message` takes nothing for now.

        The socket then keeps a few messages and stops reading. The handler calls :meth:`Socket.resume_reading` when it
        may have room again. When the socket ends, what is left is handed over all the same.
        """

    def handle_message(self, data: str | bytes) -> float:
        """One whole message. ``bytes`` means that it was a binary message.

        :returns: seconds for which nothing more should be read, because the client sends too much; usually 0.0
        """

    def handle_batch_end(self) -> None:
        """All messages that had arrived were handed over: now is the time to send together what goes together."""

    def handle_sign_of_life(self) -> None:
        """Bytes arrived: a frame, a pong, or a part of one. Called before their content is handed over."""

    def handle_pong(self, mark: int) -> None:
        """The pong that answers the ping ``mark``, and with it every earlier ping."""

    def handle_violation(self) -> None:
        """The client broke the WebSocket protocol or sent too much. The socket closes; :meth:`handle_lost` follows."""

    def handle_lost(self, code: int, reason: str) -> None:
        """The socket is gone. Called exactly once; nothing is called after it.

        :param code: the client's close code; without one ours, if we closed; else 1006 (RFC 6455, 7.4.1)
        """


class Socket(Protocol):
    """What a socket offers its connection. After the end every call is a no-op."""

    @property
    def is_closing(self) -> bool:
        """Whether the close handshake has begun, from either side."""

    @property
    def has_unread_messages(self) -> bool:
        """Whether whole messages wait for the handler, of a client that did not close behind them."""

    @property
    def waits_for_handler(self) -> bool:
        """Whether reading is paused, and only because the handler is full."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes queued here that the transport has not taken yet."""

    def send(self, text: bytes) -> None:
        """Queue one text message (UTF-8). Never blocks, keeps the order.

        More than 1 MiB unsent drops the queue and closes with 4001.
        """

    def ping(self) -> int:
        """Send a ping after what is queued; returns its mark. Marks rise over the socket's life."""

    def close(self, close: Close) -> None:
        """Send a close frame after what is queued, then end the connection, at most WRITE_SECONDS later.

        The first close counts. No message is handed over after it.
        """

    def resume_reading(self) -> None:
        """The handler has room. May call the handler at once; a no-op when nothing waits for room.

        The socket knows whether something waits. A handler that kept its own memory of having been full could lose it,
        and the client would never be read again.
        """

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when little is unsent (64 KiB) or the socket is gone; never before this call returns.

        One callback at a time: a later one takes the place of an earlier one.
        """
