"""What a client says: frames into calls of the messenger, refusals into error frames."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from delivery.carrier import Carrier
from delivery.messenger import Messenger
from delivery.presence import Holder
from protocol.dialects import Dialect
from protocol.frames import AckIn, BadFrame, ChatIn, decode, split
from protocol.identifiers import is_message_id, parse_stream_id
from protocol.refusals import Refusal
from settings import Settings

MINUTE: Final = 60.0
MALFORMED: Final = 400
Canonical = Callable[[str], str]
"""Cleans a mobile number; raises ``Refusal("bad_mobile")``."""


class Inbound:
    """The frames of one connection, one after the other: that is what keeps a sender's chats in order."""

    def __init__(
        self,
        holder: Holder,
        dialect: Dialect,
        messenger: Messenger,
        carrier: Carrier,
        settings: Settings,
        canonical: Canonical,
    ) -> None:
        self._holder = holder
        self._dialect = dialect
        self._messenger = messenger
        self._carrier = carrier
        self._settings = settings
        self._canonical = canonical
        self._bad: deque[float] = deque(maxlen=settings.bad_frames_per_minute)

    @property
    def too_many_bad(self) -> bool:
        """Whether as many bad frames as are allowed came within a minute."""
        return len(self._bad) == self._bad.maxlen and time.monotonic() - self._bad[0] < MINUTE

    async def handle(self, data: str | bytes) -> list[bytes]:
        """One message; returns the frames to answer with."""
        try:
            if isinstance(data, bytes):
                raise BadFrame("binary_frame")
            raw = data.encode()
            parts = split(raw) if self._dialect.joins_frames else [raw]
        except BadFrame as bad:
            return self._refuse(bad.refusal, bad.kind, bad.message_id)
        answers: list[bytes] = []
        for part in parts:
            answers += await self._one(part)
            if self.too_many_bad:
                break
        return answers

    async def settle(self, receipts: Sequence[str]) -> None:
        """The socket has taken these receipts (seed dialect)."""
        await self._messenger.acknowledge(self._holder, [], receipts)
        self._carrier.settled(receipts)

    async def _one(self, part: bytes) -> list[bytes]:
        kind, message_id = "frame", None
        try:
            frame = decode(part)
            if isinstance(frame, ChatIn):
                kind, message_id = "chat", frame.message_id if is_message_id(frame.message_id) else None
                return await self._chat(frame)
            kind = "ack"
            await self._ack(frame)
        except BadFrame as bad:
            return self._refuse(bad.refusal, bad.kind, bad.message_id)
        except Refusal as refusal:
            return self._refuse(refusal, kind, message_id)
        return []

    async def _chat(self, frame: ChatIn) -> list[bytes]:
        to = self._canonical(frame.to)
        if not is_message_id(frame.message_id):
            raise Refusal("bad_message_id")
        if to == self._holder.mobile:
            raise Refusal("self_message")
        if not frame.message:
            raise Refusal("message_empty")
        if len(frame.message.encode()) > self._settings.max_message_bytes:
            raise Refusal("message_too_large")
        deposit = await self._messenger.send(self._holder.mobile, to, frame.message_id, frame.message)
        timestamp, _ = parse_stream_id(deposit.stream_id)
        return self._dialect.sent(frame.message_id, to, timestamp)

    async def _ack(self, frame: AckIn) -> None:
        if frame.ack_type == "read":
            return await self._read(frame)
        ids = [*frame.stream_ids, *([frame.stream_id] if frame.stream_id is not None else [])]
        if not ids:
            raise Refusal("bad_frame", [{"field": "streamIds", "message": "an ack names at least one streamId"}])
        for stream_id in ids:
            parse_stream_id(stream_id)
        chats, receipts = self._carrier.acked(ids)
        await self._messenger.acknowledge(self._holder, chats, receipts)
        self._carrier.settled([chat.stream_id for chat in chats] + receipts)
        return None

    async def _read(self, frame: AckIn) -> None:
        ids = [*frame.message_ids, *([frame.message_id] if frame.message_id is not None else [])]
        if not ids or frame.to is None:
            errors = [{"field": "messageIds", "message": "a read ack names the chats' sender (to) and messageIds"}]
            raise Refusal("bad_frame", errors)
        sender = self._canonical(frame.to)
        if not all(is_message_id(message_id) for message_id in ids):
            raise Refusal("bad_message_id")
        self._carrier.settled(await self._messenger.mark_read(self._holder, sender, list(dict.fromkeys(ids))))

    def _refuse(self, refusal: Refusal, kind: str, message_id: str | None) -> list[bytes]:
        if refusal.rule.status == MALFORMED:
            self._bad.append(time.monotonic())
        return self._dialect.error(refusal, kind, message_id)
