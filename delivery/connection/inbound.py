"""What a client says: frames into chats to be sent and acks to be heeded, bad ones into refusals."""

import time
from collections.abc import Callable
from typing import Final

from delivery.connection.acks import Acks
from delivery.connection.sends import Sends
from protocol.dialects import Dialect
from protocol.entries import size_of
from protocol.frames import AckIn, BadFrame, ChatIn, decode, split
from protocol.identifiers import is_message_id, parse_stream_id
from protocol.refusals import Refusal
from protocol.text import shows_nothing
from settings import Settings

MINUTE: Final = 60.0
MALFORMED: Final = 400
MOST_NAMES: Final = 1000
"""In one ack: several windows' worth, and no more than the worker looks through in a millisecond."""
Canonical = Callable[[str], str]
"""Cleans a mobile number; raises ``Refusal("bad_mobile")``."""


class Inbound:
    """The frames of one connection."""

    __slots__ = ("_acks", "_bad", "_canonical", "_dialect", "_mobile", "_sends", "_settings")

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

    @property
    def too_many_bad(self) -> bool:
        """Whether as many bad frames as are allowed came within a minute."""
        return len(self._bad) >= self._settings.bad_frames_per_minute and time.monotonic() - self._bad[0] < MINUTE

    def hear(self, data: str | bytes) -> list[bytes]:
        """One message; returns the frames that refuse what is wrong in it."""
        try:
            if isinstance(data, bytes):
                raise BadFrame("binary_frame")
            raw = data.encode()
            parts = split(raw) if self._dialect.joins_frames else [raw]
        except BadFrame as bad:
            return self._refuse(bad.refusal, bad.kind, bad.message_id)
        answers: list[bytes] = []
        for part in parts:
            if refused := self._one(part):
                answers += refused
                if self.too_many_bad:
                    break
        return answers

    def _one(self, part: bytes) -> list[bytes]:
        try:
            frame = decode(part)
        except BadFrame as bad:
            return self._refuse(bad.refusal, bad.kind, bad.message_id)
        try:
            if isinstance(frame, ChatIn):
                self._chat(frame)
            else:
                self._ack(frame)
        except Refusal as refusal:
            if isinstance(frame, ChatIn):
                return self._refuse(refusal, "chat", frame.message_id if is_message_id(frame.message_id) else None)
            return self._refuse(refusal, "ack", None)
        return []

    def _chat(self, frame: ChatIn) -> None:
        to = self._canonical(frame.to)
        if not is_message_id(frame.message_id):
            raise Refusal("bad_message_id")
        if to == self._mobile:
            raise Refusal("self_message")
        if shows_nothing(frame.message):
            raise Refusal("message_empty")
        if size_of(frame.message) > self._settings.max_message_bytes:
            raise Refusal("message_too_large")
        self._sends.put(to, frame.message_id, frame.message)

    def _ack(self, frame: AckIn) -> None:
        if frame.ack_type == "read":
            return self._read(frame)
        ids = [*frame.stream_ids, *([frame.stream_id] if frame.stream_id is not None else [])]
        if not 0 < len(ids) <= MOST_NAMES:
            errors = [{"field": "streamIds", "message": f"an ack names 1 to {MOST_NAMES} streamIds"}]
            raise Refusal("bad_frame", errors)
        for stream_id in self._acks.unknown(ids):
            parse_stream_id(stream_id)
        return self._acks.delivered(ids)

    def _read(self, frame: AckIn) -> None:
        ids = [*frame.message_ids, *([frame.message_id] if frame.message_id is not None else [])]
        if not 0 < len(ids) <= MOST_NAMES or frame.to is None:
            words = f"a read ack names the chats' sender (to) and 1 to {MOST_NAMES} messageIds"
            errors = [{"field": "messageIds", "message": words}]
            raise Refusal("bad_frame", errors)
        sender = self._canonical(frame.to)
        if not all(is_message_id(message_id) for message_id in ids):
            raise Refusal("bad_message_id")
        self._acks.read(sender, list(dict.fromkeys(ids)))

    def _refuse(self, refusal: Refusal, kind: str, message_id: str | None) -> list[bytes]:
        if refusal.rule.status == MALFORMED:
            self._bad = [*self._bad[-self._settings.bad_frames_per_minute + 1 :], time.monotonic()]
        return self._dialect.error(refusal, kind, message_id)
