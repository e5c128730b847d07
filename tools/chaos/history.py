"""What happened, as the clients saw it: one JSON object a line.

Every event has ``n`` (its number in this history), ``t`` (``time.monotonic()`` of this machine, seconds), ``kind``, and
the fields of its kind. ``mobile`` is the person whose event it is, ``peer`` the other person: both mobile numbers. A
client records what it is about to write, and what it has read: so an effect never stands before its cause. A chat's
text is never recorded, only a short digest of it (:func:`digest`).

=================  ============================================  ==============================================
kind               fields                                        meaning
=================  ============================================  ==============================================
login              mobile, session                               a login; ``session`` numbers the logins of all
connecting         mobile, connection, session, dialect, device  the client opens a socket (``seed`` or
                                                                 ``wm.v1``); ``connection`` numbers the sockets
                                                                 of all
connected          mobile, connection, session, epoch            the first frame arrived; ``epoch`` is that of
                                                                 ``hello``, "" in the seed dialect
away               mobile, seconds                               the client leaves and means to stay away for
                                                                 so long
disconnected       mobile, connection, code, reason, by_client   the socket ended, or was not opened;
                                                                 ``by_client``: the client ended it, without a
                                                                 close frame
resync             mobile, connection, epoch                     the server says that storage lost something
send               mobile, peer, message_id, attempt, digest,    a chat is written, for the first time
                   connection, session                           (attempt 1) or again
answer             mobile, peer, message_id, connection,         ``result`` is ``sent`` (with ``timestamp``, ms)
                   session, result, retryable, timestamp         or the code of a refusal
unanswered         mobile, peer, message_id, connection,         a send had no answer for ``seconds`` on an open
                   seconds                                       socket; the client connects elsewhere
delivery           mobile, peer, message_id, stream_id, digest,  a chat arrived; ``peer`` is the frame's
                   connection, session, epoch, duplicate         ``from``; ``duplicate``: the client had it
own                mobile, peer, message_id, stream_id, digest,  a chat to ``peer`` that another device of
                   connection, timestamp                         ``mobile`` sent arrived on this one
own read           mobile, peer, message_ids, stream_id,         chats of ``peer`` were read on another device of
                   connection                                    ``mobile``
ack                mobile, stream_ids, connection, forged        an acknowledgement is written; ``forged``: of
                                                                 somebody else's entry
read               mobile, peer, message_ids, connection         ``mobile`` read chats that ``peer`` wrote
receipt            mobile, peer, message_ids, ack_type,          ``mobile`` wrote these chats, ``peer`` has or
                   stream_id, connection                         read them, or they expired
presence request   mobile, peer, request                         ``request`` numbers the HTTP requests of all
presence response  mobile, peer, request, status, presence,      ``presence``: ``online``, a time, or ""
                   seconds                                       (absent). ``status`` 0: no response, here and
                                                                 below
presence pushed    mobile, peer, connection, presence            ``mobile`` watches ``peer``: ``online`` or ""
hide request       mobile, request                               ``mobile`` shows nobody any more that they are
hide response      mobile, request, status, seconds              online; ``show``: everybody again
show request       mobile, request
show response      mobile, request, status, seconds
block request      mobile, peer, request
block response     mobile, peer, request, status, seconds
unblock request    mobile, peer, request
unblock response   mobile, peer, request, status, seconds
logout request     mobile, session, request                      also when another device ends the session
logout response    mobile, session, request, status, seconds
refresh request    mobile, session, request
refresh response   mobile, session, request, status, seconds
reuse request      mobile, session, request                      somebody uses a refresh token that was replaced
reuse response     mobile, session, request, status, result,     long ago; ``result`` is the code of the refusal.
                   seconds                                       ``refresh_reused``: the session has ended
posted             mobile, peer, message_id, digest              a program gave a real client (``real_clients.py``) a
                                                                 chat
post refused       mobile, peer, message_id                      it was not accepted, or the process was killed
                                                                 before the answer
handed             mobile, peer, message_id, digest, device,     a real client hands a chat to its program
                   connection
killed             mobile, device                                the process of a real client was killed
fault start        fault (its name)                              written by the scenario. Optional:
                                                                 ``loses_storage`` (Redis loses what it had:
                                                                 every client must be notified),
                                                                 ``outage_limit`` (seconds a send may take during
                                                                 the fault; without it: any), ``servers_answer``
                                                                 (every request is answered, if only refused)
fault end          fault                                         repaired: 10 s later all must be well
drained            ok, waiting                                   the last; ``waiting``: chats still on their way
outage             mobile, seconds                               at the end: the longest time in which a client
                                                                 sent without success
=================  ============================================  ==============================================

Further fields and kinds are allowed. The checker ignores them.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

_NEEDED: Final = {
    "login": "mobile session",
    "connecting": "mobile connection session dialect device",
    "connected": "mobile connection session epoch",
    "away": "mobile seconds",
    "disconnected": "mobile connection code reason by_client",
    "resync": "mobile connection epoch",
    "send": "mobile peer message_id attempt digest connection session",
    "answer": "mobile peer message_id connection session result retryable",
    "unanswered": "mobile peer message_id connection seconds",
    "delivery": "mobile peer message_id stream_id digest connection session epoch duplicate",
    "own": "mobile peer message_id stream_id digest connection timestamp",
    "own read": "mobile peer message_ids stream_id connection",
    "ack": "mobile stream_ids connection",
    "read": "mobile peer message_ids connection",
    "receipt": "mobile peer message_ids ack_type stream_id connection",
    "presence request": "mobile peer request",
    "presence response": "mobile peer request status presence seconds",
    "presence pushed": "mobile peer connection presence",
    "hide request": "mobile request",
    "hide response": "mobile request status seconds",
    "show request": "mobile request",
    "show response": "mobile request status seconds",
    "block request": "mobile peer request",
    "block response": "mobile peer request status seconds",
    "unblock request": "mobile peer request",
    "unblock response": "mobile peer request status seconds",
    "logout request": "mobile session request",
    "logout response": "mobile session request status seconds",
    "refresh request": "mobile session request",
    "refresh response": "mobile session request status seconds",
    "reuse request": "mobile session request",
    "reuse response": "mobile session request status result seconds",
    "posted": "mobile peer message_id digest",
    "post refused": "mobile peer message_id",
    "handed": "mobile peer message_id digest device connection",
    "killed": "mobile device",
    "fault start": "fault",
    "fault end": "fault",
    "drained": "ok waiting",
    "outage": "mobile seconds",
}
KINDS: Final = {kind: frozenset(fields.split()) for kind, fields in _NEEDED.items()}
"""The fields that each kind must have."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. Fields that its kind does not have keep their defaults."""

    n: int
    t: float
    kind: str
    mobile: str = ""
    peer: str = ""
    message_id: str = ""
    message_ids: list[str] = []
    stream_id: str = ""
    stream_ids: list[str] = []
    digest: str = ""
    connection: int = 0
    session: int = 0
    attempt: int = 0
    request: int = 0
    result: str = ""
    retryable: bool = False
    timestamp: int = 0
    epoch: str = ""
    ack_type: str = ""
    duplicate: bool = False
    forged: bool = False
    dialect: str = ""
    device: str = ""
    code: int = 0
    reason: str = ""
    by_client: bool = False
    status: int = 0
    presence: str = ""
    seconds: float = 0.0
    fault: str = ""
    loses_storage: bool = False
    outage_limit: float | None = None
    servers_answer: bool = False
    ok: bool = False
    waiting: int = 0

    def __str__(self) -> str:
        """The line in the file."""
        return msgspec.json.encode(self).decode()


class History:
    """Appends to a file. Only one process may write. A line is in the file when :meth:`record` returns.

    :param path: a file that exists is replaced
    :param clock: gives the time of each event, in seconds
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._clock = path, clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._encode = msgspec.json.Encoder().encode
        self._n = 0

    def record(self, kind: str, **fields: Any) -> None:
        """Append one event, with the time it has now.

        :raises ValueError: a kind of the table lacks one of its fields
        """
        if missing := KINDS.get(kind, frozenset()) - fields.keys():
            raise ValueError(f"{kind}: {', '.join(sorted(missing))} missing")
        self._n += 1
        line = {"n": self._n, "t": round(self._clock(), 6), "kind": kind, **fields}
        os.write(self._file, self._encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> list[Event]:
    """The events of a file, in order.

    :raises msgspec.DecodeError: the file holds something else
    """
    decode = msgspec.json.Decoder(Event).decode
    with path.open("rb") as lines:
        return in_order([decode(line) for line in lines])


def in_order(events: list[Event]) -> list[Event]:
    """By their times, and numbered so. Other processes tell later of what happened earlier.

    A chat that is told to have been sent only after it was answered or arrived was sent before: the process that told
    was interrupted between the two.
    """
    effects: dict[tuple[str, str, str], float] = {}
    for event in events:
        if event.kind == "delivery":
            place = (event.peer, event.mobile, event.message_id)
            effects[place] = min(event.t, effects.get(place, event.t))
    moved = [_before(event, effects.get((event.mobile, event.peer, event.message_id), event.t)) for event in events]
    moved.sort(key=lambda event: (event.t, event.n))
    return [msgspec.structs.replace(event, n=n) for n, event in enumerate(moved, 1)]


def _before(event: Event, effect: float) -> Event:
    is_late = event.kind == "send" and event.attempt == 1 and event.t > effect
    return msgspec.structs.replace(event, t=effect - 1e-6) if is_late else event


def digest(text: str) -> str:
    """12 hexadecimal digits that tell whether a text arrived unaltered."""
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()
