"""One message of a client: into frames that can be acted upon, refusals of those that cannot, and what it costs."""

from collections.abc import Callable
from typing import Final, TypeAlias

from delivery.work import BYTES_A_UNIT, IDS_A_UNIT
from protocol.bad_frames import NO_NAMES, BadFrame, FrameNames, ack_names, chat_names, watch_names
from protocol.dialects import Dialect
from protocol.entries import size_of
from protocol.errors import ApiError
from protocol.frames import AckIn, ChatIn, FrameIn, PingIn, TypingIn, UnwatchIn, WatchIn, split
from protocol.identifiers import is_message_id
from protocol.text import shows_nothing

MINUTE: Final = 60.0
MALFORMED: Final = 400
MOST_NAMES: Final = 1000
"""In one ack: several windows' worth, and no more than the worker looks through in a millisecond."""
HEARTBEAT_BYTES: Final = 32
"""A message of at most so many bytes that does not begin as JSON's objects and arrays do is taken for a heartbeat."""
MOST_HARMLESS: Final = 10
"""Bad frames in one message that are not counted: what does not count must not be without end."""
BYTE_ORDER_MARK: Final = "\ufeff"
ARRAY_BYTES: Final = 64 * 1024
"""Most bytes of an array of frames: all frames of a message are handled before anything else is."""
Canonical: TypeAlias = Callable[[str], str]
"""Cleans a mobile number; raises ``ApiError("bad_mobile")``."""


class ClientFrames:
    """The frames of one connection. Times are monotonic seconds."""

    __slots__ = (
        "_canonical", "_dialect", "_harmless", "_is_heartbeat", "_max_bytes", "_mobile", "_most_bad",
        "bad", "charge", "wasted",
    )  # fmt: skip

    def __init__(self, mobile: str, dialect: Dialect, canonical: Canonical, max_bytes: int, most_bad: int) -> None:
        """
        :param max_bytes: of a chat's text
        :param most_bad: bad frames within a minute that end the connection
        """
        self._mobile = mobile
        self._dialect = dialect
        self._canonical = canonical
        self._max_bytes = max_bytes
        self._most_bad = most_bad
        self.bad: list[float] = []
        """When the latest bad frames came."""
        self._harmless = MOST_HARMLESS
        self._is_heartbeat = False
        self.charge = 0.0
        """Units of work (delivery/work.py) since somebody last set this to 0."""
        self.wasted = 0.0
        """Those of them that came to nothing."""

    def too_many_bad(self, now: float) -> bool:
        """Whether as many bad frames as are allowed came within a minute."""
        return len(self.bad) >= self._most_bad and now - self.bad[0] < MINUTE

    def split(self, data: str | bytes) -> list[bytes]:
        """One message as the frames it holds, not decoded yet.

        :raises BadFrame: the message is binary, or its frames cannot be told apart
        """
        self._harmless = MOST_HARMLESS
        try:
            if isinstance(data, bytes):
                raise BadFrame("binary_frame")
            raw = data.removeprefix(BYTE_ORDER_MARK).encode()
            self._is_heartbeat = len(raw) <= HEARTBEAT_BYTES and raw.lstrip()[:1] not in (b"{", b"[")
            if not self._dialect.joins_frames or raw[:1] == b"{":
                return [raw]
            if len(raw) > ARRAY_BYTES and raw.lstrip()[:1] == b"[":
                words = f"an array of frames has at most {ARRAY_BYTES // 1024} KiB; a longer message holds one frame"
                raise BadFrame("bad_frame", "frame", NO_NAMES, ("frame", words))
            parts = split(raw)
        except BadFrame:
            self.spend(1 + len(data) / BYTES_A_UNIT, wasted=True)
            raise
        if not parts:
            self.spend(1, wasted=True)
        return parts

    def spend(self, units: float, *, wasted: bool = False) -> None:
        """The client caused so much work."""
        self.charge += units
        if wasted:
            self.wasted += units

    def spend_on_names(self, named: int, counted: int) -> None:
        """An ack named entries, of which some were in flight. Those are free: the server asked for them."""
        if counted < named:
            self.spend(1 + (named - counted) / IDS_A_UNIT, wasted=not counted)

    # ---- what a frame says

    def check_chat(self, chat: ChatIn) -> tuple[str, int]:
        """:returns: the recipient's mobile number, and the bytes of the text

        :raises ApiError: the chat cannot be stored for anybody
        """
        self.charge += 1 + len(chat.message) / BYTES_A_UNIT
        to = self._canonical(chat.to)
        if not is_message_id(chat.message_id):
            raise ApiError("bad_message_id")
        if to == self._mobile:
            raise ApiError("self_message")
        size = size_of(chat.message)
        if size > self._max_bytes:
            raise ApiError("message_too_large")  # first: what comes next is no small work for a long text
        if shows_nothing(chat.message):
            raise ApiError("message_empty")
        return to, size

    def names_chats(self, ack: AckIn) -> bool:
        """Whether the ack names chats by their sender and messageIds, and not entries by streamIds."""
        return ack.ack_type == "read" or not (ack.stream_ids or ack.stream_id is not None or ack.to is None)

    def check_entries(self, ack: AckIn) -> list[str]:
        """:returns: the streamIds that the ack names, which may be anything

        :raises ApiError: there are none, or too many
        """
        ids = ack.stream_ids if ack.stream_id is None else [*ack.stream_ids, ack.stream_id]
        if not 0 < len(ids) <= MOST_NAMES:
            words = f"an ack names 1 to {MOST_NAMES} streamIds, or the chats' sender (to) and their messageIds"
            raise ApiError("bad_frame", [{"field": "streamIds", "message": words}])
        return ids

    def check_chats(self, ack: AckIn) -> tuple[str, list[str]]:
        """:returns: the sender's mobile number and the messageIds that the ack names

        :raises ApiError: they cannot name chats
        """
        ids = [*ack.message_ids, *([ack.message_id] if ack.message_id is not None else [])]
        if not 0 < len(ids) <= MOST_NAMES or ack.to is None:
            words = f"a {ack.ack_type} ack names the chats' sender (to) and 1 to {MOST_NAMES} messageIds"
            raise ApiError("bad_frame", [{"field": "messageIds", "message": words}])
        if ack.ack_type == "read":
            self.spend(1 + len(ids) / IDS_A_UNIT)
        sender = self._canonical(ack.to)
        if not all(is_message_id(message_id) for message_id in ids):
            raise ApiError("bad_message_id")
        return sender, list(dict.fromkeys(ids))

    def check_watch(self, watch: WatchIn | UnwatchIn, most: int) -> list[str]:
        """:returns: the mobile numbers that it names, each once

        :raises ApiError: there are none, or too many, or one is none
        """
        count, is_watch = len(watch.mobile_nos), isinstance(watch, WatchIn)
        self.spend(1 + (count if is_watch else count / IDS_A_UNIT))
        if is_watch and count > most:
            raise ApiError("too_many_watched")
        if not 0 < count <= MOST_NAMES:
            raise ApiError(
                "bad_frame", [{"field": "mobileNos", "message": f"mobileNos names 1 to {MOST_NAMES} numbers"}]
            )
        return list(dict.fromkeys(map(self._canonical, watch.mobile_nos)))

    def check_typing(self, typing: TypingIn) -> str:
        """:returns: the recipient's mobile number

        :raises ApiError: it is none, or one's own
        """
        self.spend(1)
        to = self._canonical(typing.to)
        if to == self._mobile:
            raise ApiError("self_message")
        return to

    # ---- refusals

    def refuse_part(self, part: bytes, bad: BadFrame, now: float) -> list[bytes]:
        """The answer to a part of a message that is no frame of ours."""
        self.spend(1 + len(bytes(part)) / BYTES_A_UNIT, wasted=True)
        return self.refuse_message(bad, now)

    def refuse_message(self, bad: BadFrame, now: float) -> list[bytes]:
        """The answer to a message of which no frames could be made."""
        harmless = bad.error.code == "unknown_type" or (self._is_heartbeat and bad.error.code != "binary_frame")
        return self._refuse(bad.error, bad.kind, bad.names, now, harmless=harmless)

    def refuse(self, error: ApiError, frame: FrameIn, now: float) -> list[bytes]:
        """The answer to a frame that cannot be acted upon."""
        if isinstance(frame, ChatIn):
            return self._refuse(error, "chat", self._name(frame), now)
        if not isinstance(frame, AckIn):
            names = chat_names(None, frame.to) if isinstance(frame, TypingIn) else watch_names(_numbers_of(frame))
            return self._refuse(error, str(frame.__struct_config__.tag), names, now)
        ids = [*frame.message_ids, *([frame.message_id] if frame.message_id is not None else [])]
        stream_ids = [*frame.stream_ids, *([frame.stream_id] if frame.stream_id is not None else [])]
        return self._refuse(error, "ack", ack_names(frame.to, ids, stream_ids), now)

    def answer_ping(self, _ping: PingIn) -> list[bytes]:
        """The answer to a heartbeat in text."""
        self.spend(1)
        return self._dialect.pong()

    def _name(self, chat: ChatIn) -> FrameNames:
        """As ``sent`` would name it, where its number is one."""
        names = chat_names(chat.message_id, chat.to)
        try:
            return names._replace(to=self._canonical(chat.to))
        except ApiError:
            return names

    def _refuse(
        self, error: ApiError, kind: str, names: FrameNames, now: float, *, harmless: bool = False
    ) -> list[bytes]:
        """:param harmless: it does not count as a bad frame, unless there are many in one message"""
        if error.spec.status == MALFORMED:
            self._harmless -= harmless
            if not harmless or self._harmless < 0:
                self.bad = [*self.bad[-self._most_bad + 1 :], now]
        return self._dialect.error(error, kind, names)


def _numbers_of(frame: FrameIn) -> list[str]:
    return frame.mobile_nos if isinstance(frame, (WatchIn, UnwatchIn)) else []
