"""What a client says: frames into chats to be sent and acks to be heeded, bad ones into refusals."""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from delivery.connection.acks import Acks
from delivery.connection.sends import Sends
from delivery.work import BYTES_A_UNIT, IDS_A_UNIT
from protocol.bad_frames import NO_NAMES, BadFrame, FrameNames, ack_names, chat_names
from protocol.dialects import Dialect
from protocol.entries import size_of
from protocol.errors import ApiError
from protocol.frames import AckIn, ChatIn, PingIn, decode, split
from protocol.identifiers import check_stream_id, is_message_id
from protocol.text import shows_nothing
from settings import Settings

MINUTE: Final = 60.0
MALFORMED: Final = 400
MOST_NAMES: Final = 1000
"""In one ack: several windows' worth, and no more than the worker looks through in a millisecond."""
HEARTBEAT: Final = 32
"""Bytes of a message that does not begin as JSON's objects and arrays do, and is taken for a heartbeat in text."""
MOST_HARMLESS: Final = 10
"""In one message: what does not count must not be without end."""
BYTE_ORDER_MARK: Final = "\ufeff"
ARRAY_BYTES: Final = 64 * 1024
"""Of an array of frames: all that a message holds is worked on in one go."""
Canonical = Callable[[str], str]
"""Cleans a mobile number; raises ``ApiError("bad_mobile")``."""


class Inbound:
    """The frames of one connection."""

    __slots__ = (
        "_acks", "_bad", "_canonical", "_dialect", "_harmless", "_heartbeat", "_mobile", "_sends",
        "_settings", "_wasted", "charge",
    )  # fmt: skip

    def __init__(
        self,
        mobile: str,
        dialect: Dialect,
        sends: Sends,
        acks: Acks,
        settings: Settings,
        canonical: Canonical,
    ) -> None:
        self._mobile = mobile
        self._dialect = dialect
        self._sends = sends
        self._acks = acks
        self._settings = settings
        self._canonical = canonical
        self._bad: list[float] = []
        self._harmless = MOST_HARMLESS
        self._heartbeat = False
        """Whether the message at hand was no frame that went wrong, but another protocol's sign of life."""
        self.charge = self._wasted = 0.0
        """Units of work that were not taken yet."""

    def take_charge(self) -> tuple[float, float]:
        """What was heard since the last call: units of work (see delivery/work.py), and those that came to nothing.

        Acks of entries in flight are free: the server asked for them.
        """
        charge, wasted = self.charge, self._wasted
        self.charge = self._wasted = 0.0
        return charge, wasted

    @property
    def too_many_bad(self) -> bool:
        """Whether as many bad frames as are allowed came within a minute."""
        return len(self._bad) >= self._settings.bad_frames_per_minute and time.monotonic() - self._bad[0] < MINUTE

    def hear(self, data: str | bytes) -> list[bytes]:
        """One message; returns the frames that answer at once: refusals of what is wrong in it, and pongs."""
        self._harmless = MOST_HARMLESS
        try:
            if isinstance(data, bytes):
                raise BadFrame("binary_frame")
            raw = data.removeprefix(BYTE_ORDER_MARK).encode()
            self._heartbeat = len(raw) <= HEARTBEAT and raw.lstrip()[:1] not in (b"{", b"[")
            if self._dialect.joins_frames and len(raw) > ARRAY_BYTES and raw.lstrip()[:1] == b"[":
                words = f"an array of frames has at most {ARRAY_BYTES // 1024} KiB; a longer message holds one frame"
                raise BadFrame("bad_frame", "frame", NO_NAMES, ("frame", words))
            parts = split(raw) if self._dialect.joins_frames else [raw]
        except BadFrame as bad:
            self._spend(1 + len(data) / BYTES_A_UNIT, wasted=True)
            return self._refuse(bad.error, bad.kind, bad.names)
        if not parts:
            self._spend(1, wasted=True)
        answers: list[bytes] = []
        for part in parts:
            if said := self._one(part):
                answers += said
                if self.too_many_bad:
                    break
        return answers

    def _one(self, part: bytes) -> list[bytes]:
        try:
            frame = decode(part)
        except BadFrame as bad:
            self._spend(1 + len(bytes(part)) / BYTES_A_UNIT, wasted=True)
            harmless = self._heartbeat or bad.error.code == "unknown_type"
            return self._refuse(bad.error, bad.kind, bad.names, harmless=harmless)
        if isinstance(frame, PingIn):
            self._spend(1)
            return self._dialect.pong()
        try:
            if isinstance(frame, ChatIn):
                self._chat(frame)
            else:
                self._ack(frame)
        except ApiError as refusal:
            if isinstance(frame, ChatIn):
                return self._refuse(refusal, "chat", self._name(frame))
            return self._refuse(refusal, "ack", _name_ack(frame))
        return []

    def _spend(self, units: float, *, wasted: bool = False) -> None:
        self.charge += units
        if wasted:
            self._wasted += units

    def _spend_on_acks(self, named: int, counted: int) -> None:
        """Acks of entries in flight are free; names of others are not."""
        if counted < named:
            self._spend(1 + (named - counted) / IDS_A_UNIT, wasted=not counted)

    def _chat(self, frame: ChatIn) -> None:
        self.charge += 1 + len(frame.message) / BYTES_A_UNIT
        to = self._canonical(frame.to)
        if not is_message_id(frame.message_id):
            raise ApiError("bad_message_id")
        if to == self._mobile:
            raise ApiError("self_message")
        if size_of(frame.message) > self._settings.max_message_bytes:
            raise ApiError("message_too_large")  # first: what comes next is no small work for a long text
        if shows_nothing(frame.message):
            raise ApiError("message_empty")
        self._sends.put(to, frame.message_id, frame.message)

    def _ack(self, frame: AckIn) -> None:
        ids = [*frame.stream_ids, *([frame.stream_id] if frame.stream_id is not None else [])]
        if frame.ack_type == "read" or (not ids and frame.to is not None):
            return self._of_chats(frame)
        if not 0 < len(ids) <= MOST_NAMES:
            words = f"an ack names 1 to {MOST_NAMES} streamIds, or the chats' sender (to) and their messageIds"
            raise ApiError("bad_frame", [{"field": "streamIds", "message": words}])
        for stream_id in self._acks.unknown(ids):
            check_stream_id(stream_id)
        counted = self._acks.delivered(ids)
        if counted < len(ids):
            self._spend_on_acks(len(ids), counted)
        return None

    def _of_chats(self, frame: AckIn) -> None:
        ids = [*frame.message_ids, *([frame.message_id] if frame.message_id is not None else [])]
        if not 0 < len(ids) <= MOST_NAMES or frame.to is None:
            words = f"a {frame.ack_type} ack names the chats' sender (to) and 1 to {MOST_NAMES} messageIds"
            errors = [{"field": "messageIds", "message": words}]
            raise ApiError("bad_frame", errors)
        if frame.ack_type == "read":
            self._spend(1 + len(ids) / IDS_A_UNIT)
        sender = self._canonical(frame.to)
        if not all(is_message_id(message_id) for message_id in ids):
            raise ApiError("bad_message_id")
        names = list(dict.fromkeys(ids))
        if frame.ack_type == "read":
            self._acks.read(sender, names)
        else:
            self._spend_on_acks(len(names), self._acks.delivered_chats(sender, names))

    def _name(self, chat: ChatIn) -> FrameNames:
        """As ``sent`` would name it, where its number is one."""
        named = chat_names(chat.message_id, chat.to)
        with contextlib.suppress(ApiError):
            return named._replace(to=self._canonical(chat.to))
        return named

    def _refuse(
        self, refusal: ApiError, kind: str, named: FrameNames = NO_NAMES, *, harmless: bool = False
    ) -> list[bytes]:
        """:param harmless: it does not count as a bad frame, unless there are many in one message"""
        if refusal.spec.status == MALFORMED:
            self._harmless -= harmless
            if not harmless or self._harmless < 0:
                self._bad = [*self._bad[-self._settings.bad_frames_per_minute + 1 :], time.monotonic()]
        return self._dialect.error(refusal, kind, named)


def _name_ack(ack: AckIn) -> FrameNames:
    ids = [*ack.message_ids, *([ack.message_id] if ack.message_id is not None else [])]
    places = [*ack.stream_ids, *([ack.stream_id] if ack.stream_id is not None else [])]
    return ack_names(ack.to, ids, places)
