"""A client of XMPP over plain TCP that does the same work as ``Client``: chats, ticks, receipts, and nothing else.

SASL PLAIN, resource binding, stream management (XEP-0198) for the tick, delivery receipts (XEP-0184) for the double
tick. It reads stanzas by pattern instead of with an XML parser: it must not be the limit, and it knows what these
servers send.
"""

import asyncio
import base64
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, cast

from tools.bench.environment import TEXT, Account, ConnectError, Recorder

CONNECT_SECONDS: Final = 30.0
DOMAIN: Final = "localhost"
_OPEN: Final = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
_AUTH: Final = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
_BIND: Final = (
    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b</resource></bind></iq>"
)
_ENABLE: Final = "<enable xmlns='urn:xmpp:sm:3'/>"
_READY: Final = "<presence/><iq type='get' id='ready' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>"
_CHAT: Final = f"<message to='%s' id='%s' type='chat'><body>{TEXT}</body><request xmlns='urn:xmpp:receipts'/></message>"
_RECEIPT: Final = "<message to='%s' type='chat'><received xmlns='urn:xmpp:receipts' id='%s'/></message>"
_ASK: Final = "<r xmlns='urn:xmpp:sm:3'/>"
_ANSWER: Final = "<a xmlns='urn:xmpp:sm:3' h='%d'/>"

_STANZA: Final = re.compile(
    rb"<(message|presence|iq|success|failure|stream:features|stream:error|enabled|failed|a|r)\b"
    rb"(?:[^>]*?/>|[^>]*>.*?</\1>)",
    re.DOTALL,
)
_ID: Final = re.compile(rb"<message\b[^>]*?\sid=['\"]([^'\"]+)")
_FROM: Final = re.compile(rb"<message\b[^>]*?\sfrom=['\"]([^'\"]+)")
_RECEIVED: Final = re.compile(rb"<received\b[^>]*?\sid=['\"]([^'\"]+)")
_ERROR: Final = re.compile(rb"<error\b[^>]*><([a-z-]+)")
_HANDLED: Final = re.compile(rb"\sh=['\"](\d+)")
_COUNTED: Final = (b"message", b"presence", b"iq")


class XmppClient(asyncio.Protocol):
    """One connection. What a loop tick brings up leaves with one write."""

    def __init__(self, account: Account, recorder: Recorder) -> None:
        self._account, self._recorder = account, recorder
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._out: list[str] = []
        self._due = self._managed = self._owes_answer = self._asks = False
        self._handled = 0
        self._unacked: deque[str] = deque()  # "" for a stanza that is no chat
        self._steps = iter(self._greet())
        self._expected = b""
        self.ready: asyncio.Future[None] = self._loop.create_future()

    # -- connecting

    def _greet(self) -> Iterator[tuple[str, bytes]]:
        """Each thing to send, and the stanza that must arrive before the next is sent."""
        secret = base64.b64encode(f"\0{self._account.address.partition('@')[0]}\0{self._account.secret}".encode())
        yield _OPEN, b"stream:features"
        yield _AUTH % secret.decode(), b"success"
        yield _OPEN, b"stream:features"
        yield _BIND, b"iq"
        yield _ENABLE, b"enabled"
        self._managed = True
        self._unacked.extend(("", ""))
        yield _READY % DOMAIN, b"iq"

    def _next_step(self) -> None:
        try:
            text, self._expected = next(self._steps)
        except StopIteration:
            self._expected = b""
            self.ready.set_result(None)
        else:
            self._transport.write(text.encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._next_step()

    # -- receiving

    def data_received(self, data: bytes) -> None:
        """Some bytes; take every whole stanza out of them."""
        self._buffer += data
        end = 0
        for found in _STANZA.finditer(self._buffer):
            end = found.end()
            self._handle(found[1], found[0])
        self._buffer = self._buffer[end:]

    def _handle(self, kind: bytes, stanza: bytes) -> None:
        if self._managed and kind in _COUNTED:
            self._handled += 1
        if kind == b"message":
            self._message(stanza)
        elif kind == b"a":
            self._acked(stanza)
        elif kind == b"r":
            self._owes_answer = True
            self._soon()
        elif kind == self._expected:
            self._next_step()
        elif kind in (b"failure", b"failed", b"stream:error"):
            self._fail(stanza.decode())

    def _message(self, stanza: bytes) -> None:
        if b"<received" in stanza and (found := _RECEIVED.search(stanza)):
            self._recorder.receipt(found[1].decode())
        elif b"<error" in stanza:
            name = _ERROR.search(stanza)
            sent = _ID.search(stanza)
            self._recorder.refused(name[1].decode() if name else "error", sent[1].decode() if sent else "")
        elif b"<body" in stanza and (found := _ID.search(stanza)) and (sender := _FROM.search(stanza)):
            message_id = found[1].decode()
            self._send(_RECEIPT % (sender[1].decode(), message_id), "")
            self._recorder.arrived(message_id)

    def _acked(self, stanza: bytes) -> None:
        """The server handled so many of ours; ``h`` counts from the beginning."""
        found = _HANDLED.search(stanza)
        if found is None:
            raise ValueError("an <a/> without h")
        while self._done_with < int(found[1]):
            self._done_with += 1
            if message_id := self._unacked.popleft():
                self._recorder.stored(message_id)

    _done_with = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        if self.ready.done():
            self._recorder.closed()
        self._fail(f"the server closed the connection: {exc}")

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectError(why))
            self.ready.exception()  # retrieved here: open_connection raises it, and asyncio must not log it as well

    # -- sending

    def chat(self, to: str, message_id: str) -> None:
        """Send a chat with the usual text, and ask for both ticks."""
        self._asks = True
        self._send(_CHAT % (to, message_id), message_id)

    def _send(self, stanza: str, message_id: str) -> None:
        self._out.append(stanza)
        self._unacked.append(message_id)
        self._soon()

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._due = False
        if self._owes_answer:
            self._owes_answer = False
            self._out.append(_ANSWER % self._handled)
        if self._asks:  # a client that only sends receipts needs no tick
            self._asks = False
            self._out.append(_ASK)
        self._transport.write("".join(self._out).encode())
        self._out = []

    def end(self) -> None:
        """Close the socket without a close handshake."""
        self._recorder.ended = True
        self._transport.abort()


async def open_connection(port: int, account: Account, recorder: Recorder) -> XmppClient:
    """Connect and be available; what waited has begun to come before the answer to our last question does.

    :raises ConnectError: when that does not come about
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, client = await loop.create_connection(lambda: XmppClient(account, recorder), "127.0.0.1", port)
            try:
                await client.ready
            except BaseException:
                client.end()
                raise
    except (OSError, TimeoutError) as error:
        raise ConnectError(f"{type(error).__name__}: {error}") from error
    return client
