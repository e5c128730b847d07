"""What happened, as the clients saw it: one JSON object a line, on the monotonic clock of this machine.

Every event has ``n`` (its number in this history), ``t`` (``time.monotonic()``, seconds), ``kind``, and fields of its
kind. ``who`` is whose event it is, ``whom`` the other one: both mobile numbers. What is *begun* is noted just before it
is written to the socket, what is *heard* when it was read from it: so an effect never stands before its cause. A
chat's text is never written down, only a short digest of it (:func:`digest`).

=================  ========================================  ==================================================
kind               fields                                    means
=================  ========================================  ==================================================
login              who, session                              logged in; ``session`` numbers the logins of all
connecting         who, connection, session, dialect         a socket is being opened (``seed`` or ``wm.v1``);
                                                             ``connection`` numbers the sockets of all
connected          who, connection, session, epoch           the first frame came; ``epoch``: of hello, "" in seed
away               who, seconds                              leaves, and means to stay away for so long
disconnected       who, connection, code, reason, own        the socket is gone, or did not come about; ``own``:
                                                             the client left of its own will, without a goodbye
resync             who, connection, epoch                    storage lost something, says the server
send               who, whom, message_id, attempt, digest,   a chat begun, for the first time (attempt 1) or again
                   connection, session
answer             who, whom, message_id, connection,        ``result``: ``sent`` (with ``timestamp``, ms) or the
                   session, result, retryable, timestamp     code of a refusal
unanswered         who, whom, message_id, connection,        a send without an answer for ``seconds`` on an open
                   seconds                                   socket; the client leaves it and tries elsewhere
delivery           who, whom, message_id, stream_id, digest, a chat came, perhaps not for the first time; ``whom``
                   connection, session, epoch, known         is the frame's ``from``; ``known``: not shown again
ack                who, stream_ids, connection, forged       begun; ``forged``: it names somebody else's entry
read               who, whom, message_ids, connection        begun; ``whom`` wrote them
receipt            who, whom, message_ids, ack_type,         ``who`` wrote them, ``whom`` delivered, read or let
                   stream_id, connection                     them expire
presence asked     who, whom, ask                            ``ask`` numbers the HTTP requests of all
presence answered  who, whom, ask, status, seen, seconds     ``seen``: ``online``, a time or "" (absent).
                                                             ``status`` 0: no answer, here and below
block begun        who, whom, ask
block answered     who, whom, ask, status, seconds
unblock begun      who, whom, ask
unblock answered   who, whom, ask, status, seconds
logout begun       who, session, ask
logout answered    who, session, ask, status, seconds
fault begun        fault (its name)                          noted by the campaign. Optional: ``loses_storage``
                                                             (Redis loses what it had: everybody must be told),
                                                             ``outage_limit`` (seconds a send may take while it
                                                             lasts; without it: any), ``answers`` (the servers
                                                             themselves go on: all is answered, if only refused)
fault ended        fault                                     healed: from here everything has 10 s to be well
drained            ok, waiting                               the last; ``waiting``: chats still on their way
outage             who, seconds                              at the end: the longest time a client tried in vain
=================  ========================================  ==================================================

Further fields and kinds are allowed, and ignored by the checker.
"""

import hashlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

_NEEDED: Final = {
    "login": "who session",
    "connecting": "who connection session dialect",
    "connected": "who connection session epoch",
    "away": "who seconds",
    "disconnected": "who connection code reason own",
    "resync": "who connection epoch",
    "send": "who whom message_id attempt digest connection session",
    "answer": "who whom message_id connection session result retryable",
    "unanswered": "who whom message_id connection seconds",
    "delivery": "who whom message_id stream_id digest connection session epoch known",
    "ack": "who stream_ids connection",
    "read": "who whom message_ids connection",
    "receipt": "who whom message_ids ack_type stream_id connection",
    "presence asked": "who whom ask",
    "presence answered": "who whom ask status seen seconds",
    "block begun": "who whom ask",
    "block answered": "who whom ask status seconds",
    "unblock begun": "who whom ask",
    "unblock answered": "who whom ask status seconds",
    "logout begun": "who session ask",
    "logout answered": "who session ask status seconds",
    "fault begun": "fault",
    "fault ended": "fault",
    "drained": "ok waiting",
    "outage": "who seconds",
}
KINDS: Final = {kind: frozenset(fields.split()) for kind, fields in _NEEDED.items()}
"""Every kind, and the fields it must have."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. Fields that its kind does not have are at their defaults."""

    n: int
    t: float
    kind: str
    who: str = ""
    whom: str = ""
    message_id: str = ""
    message_ids: list[str] = []
    stream_id: str = ""
    stream_ids: list[str] = []
    digest: str = ""
    connection: int = 0
    session: int = 0
    attempt: int = 0
    ask: int = 0
    result: str = ""
    retryable: bool = False
    timestamp: int = 0
    epoch: str = ""
    ack_type: str = ""
    known: bool = False
    forged: bool = False
    dialect: str = ""
    code: int = 0
    reason: str = ""
    own: bool = False
    status: int = 0
    seen: str = ""
    seconds: float = 0.0
    fault: str = ""
    loses_storage: bool = False
    outage_limit: float | None = None
    answers: bool = False
    ok: bool = False
    waiting: int = 0

    def __str__(self) -> str:
        """As it stands in the file."""
        return msgspec.json.encode(self).decode()


class History:
    """Appends to a file. One process writes; every line is in the file when ``note`` returns.

    :param path: is begun anew if it exists
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._encode = msgspec.json.Encoder().encode
        self._n = 0

    def note(self, kind: str, **fields: Any) -> None:
        """Write one event down, now.

        :raises ValueError: a kind of the table lacks one of its fields
        """
        if missing := KINDS.get(kind, frozenset()) - fields.keys():
            raise ValueError(f"{kind}: {', '.join(sorted(missing))} missing")
        self._n += 1
        line = {"n": self._n, "t": round(time.monotonic(), 6), "kind": kind, **fields}
        os.write(self._file, self._encode(line) + b"\n")

    def close(self) -> None:
        """Nothing more is noted."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> list[Event]:
    """A history, in order.

    :raises msgspec.DecodeError: what stands there is none
    """
    decode = msgspec.json.Decoder(Event).decode
    with path.open("rb") as lines:
        return [decode(line) for line in lines]


def digest(text: str) -> str:
    """Enough of a text to tell whether it arrived unaltered."""
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()
