"""What a connection does with a message, from its arrival to its answer: inputs become effects.

A session is one client connection as a state machine. It does no I/O, knows neither asyncio nor Redis, and takes the
time (monotonic seconds) as an argument. The shell (connection.py) gives it what happens, and takes :attr:`effects`.

Three orders carry the guarantees (docs/decisions). Each of them is here and nowhere else:

1. connect: claim the lease, and only then fetch entries;
2. acknowledge: store the receipt in the sender's mailbox, and only then settle the entry in one's own;
3. disconnect: release the lease, and only then leave the hub.

And where a user has several devices, a chat is stored for its recipient first, then copied for the other devices, and
only then confirmed as sent.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from delivery.in_flight import NEVER, InFlightWindow
from delivery.policy import told_receipt
from delivery.results import Claimed, CommandFailed, Fetched, NotCached, Silent, Superseded, Unproven
from delivery.session import effects as do
from delivery.session.acknowledgements import Acknowledgements
from delivery.session.client_frames import Canonical, ClientFrames
from delivery.session.effects import Effect
from delivery.session.lease import Lease, LeaseState
from delivery.session.mailbox_reader import MailboxReader
from delivery.session.send_queue import Admit, SendQueue
from delivery.session.watching import WATCHES_UNDER_WAY, TypingThrottle
from protocol.bad_frames import BadFrame, FrameNames, ack_names, watch_names
from protocol.dialects import Dialect
from protocol.errors import (
    DRAINING,
    INTERNAL,
    LOGGED_OUT,
    NUMBER_CHANGED,
    REPLACED,
    SLOW_CONSUMER,
    TOKEN_EXPIRED,
    TOO_MANY_BAD_FRAMES,
    TOO_MANY_DEVICES,
    TOO_MANY_FRAMES,
    UNAVAILABLE,
    UNREACHABLE,
    ApiError,
    Close,
)
from protocol.frames import AckIn, ChatIn, PingIn, TypingIn, UnwatchIn, WatchIn
from protocol.identifiers import check_stream_id, parse_stream_id
from protocol.privacy import OPEN, Privacy
from protocol.token_bucket import TokenBucket
from settings import Settings

logger = structlog.get_logger(__name__)
IN_HAND: Final = 256
"""Chats and acknowledgements under way above which the client is not read."""
CHARACTERS_IN_HAND: Final = 256 * 1024
"""The same for the texts of the chats."""
OVER_SECONDS: Final = 30.0
"""For so long a client may send more than it is allowed, and is only slowed down, if nothing comes of most of it."""
_RESUME: Final = do.ResumeReading()
_CLOSES: Final = {
    "too_many_devices": TOO_MANY_DEVICES,
    "session_revoked": LOGGED_OUT,
    "no_such_person": LOGGED_OUT,
}
"""How a connection ends whose claim is refused with this code."""


class Session:
    """One connection of one device.

    After each input the shell runs :attr:`effects` and, where an effect asks for it, calls :meth:`reply`. At
    :attr:`deadline` it calls :meth:`timer`.
    """

    __slots__ = (
        "_acknowledgements", "_bucket", "_charged", "_dead_letter_after", "_decode", "_dialect", "_drain_after",
        "_early", "_frames", "_has_failed", "_is_muted", "_is_penalized", "_lease", "_leaving", "_mobile",
        "_output_paused", "_over_since", "_privacy", "_reader", "_reason", "_releases", "_sends", "_stuck_seconds",
        "_typing", "_wasted", "_watch_limit", "_watches", "_window", "deadline", "effects", "ended", "is_proving",
        "last_sign_of_life", "left",
    )  # fmt: skip

    def __init__(
        self,
        mobile: str,
        device: str,
        dialect: Dialect,
        settings: Settings,
        canonical: Canonical,
        admit: Admit | None,
        bucket: TokenBucket,
        now: float,
    ) -> None:
        """
        :param mobile: the user's number
        :param device: the deviceId
        :param canonical: cleans a mobile number
        :param admit: whether a chat may be stored; None: there are no limits
        :param bucket: of the units of work that this person may still cause on this server
        """
        self._mobile = mobile
        self._dialect = dialect
        self._decode = dialect.decode
        self._bucket = bucket
        self._stuck_seconds = settings.stuck_window_seconds
        self._dead_letter_after = settings.park_after
        self._frames = ClientFrames(
            mobile, dialect, canonical, settings.max_message_bytes, settings.bad_frames_per_minute
        )
        self._sends = SendQueue(mobile, admit)
        self._window = InFlightWindow(settings.window)
        self._acknowledgements = Acknowledgements(settings.window)
        redeliver = settings.redeliver_seconds, settings.redeliver_times
        self._reader = MailboxReader(mobile, device, dialect, redeliver, now)
        self._lease = Lease(settings.ping_seconds, now)
        self._typing: TypingThrottle | None = None
        """Made with the first ``typing``: most connections are idle."""
        self._watch_limit = settings.watch_limit
        self._watches = 0
        """How many were not answered yet."""
        self._privacy = OPEN
        """What the user hides, as the last claim, renewal or notification said."""
        self._early: list[str | bytes] | None = []
        """Messages that came before the lease was claimed; None since. Until then the session is full, so that only a
        socket that ends hands over any."""
        self._is_muted = self._is_penalized = self._output_paused = self._has_failed = False
        self._drain_after: float | None = None
        self._over_since: float | None = None
        """Since when the client has sent more than it may; None while it does not."""
        self._charged = self._wasted = 0.0
        """Units of work since then, and those that came to nothing."""
        self._reason = ""
        self._leaving = False
        """Whether the lease is being released."""
        self._releases = 0
        """How many of them were not answered."""
        self.effects: list[Effect] = [do.ClaimLease("first")]
        """What is to be done, in this order. The shell takes them out."""
        self.deadline = NEVER
        """When :meth:`timer` is to be called."""
        self.ended = False
        """Whether the end has begun."""
        self.is_proving = False
        """Whether a sign of life of the client is waited for (:meth:`prove`)."""
        self.last_sign_of_life = now
        """When bytes of the client arrived; the shell writes it down."""
        self.left = False
        """Whether it is over: nothing is under way any more, and the lease is released."""

    # ---- the client's messages

    def message(self, data: str | bytes, now: float) -> float:
        """A message arrived; returns the seconds for which nothing more should be read."""
        if self.ended or self._is_muted:
            return 0.0
        if self._early is not None:
            self._early.append(data)
            return 0.0
        pause = self._handle_message(data, now)
        if self.ended:
            self._advance(now)
        return pause

    def batch_end(self, now: float) -> None:
        """All messages that had arrived were handed over."""
        if not self.ended:
            if self._sends.ready:
                self.effects += self._sends.take_ready()
            self._advance(now)

    @property
    def is_full(self) -> bool:
        """Whether more is in hand than should be."""
        if self.ended:
            return False
        if self._early is not None or self._watches >= WATCHES_UNDER_WAY:
            return True
        sends = self._sends
        return sends.pending + self._acknowledgements.pending >= IN_HAND or sends.characters >= CHARACTERS_IN_HAND

    @property
    def in_hand(self) -> int:
        """Messages, chats and acknowledgements that have arrived and are not done with."""
        return self._sends.pending + self._acknowledgements.pending + self._watches + len(self._early or ())

    def _handle_message(self, data: str | bytes, now: float) -> float:
        frames = self._frames
        if frames.bad and frames.too_many_bad(now):
            return 0.0
        answers: list[bytes] = []
        try:
            for part in frames.split(data):
                answer = self._handle_frame(part, now)
                if answer:
                    answers += answer
                    if frames.too_many_bad(now):
                        break
        except BadFrame as bad:
            answers += frames.refuse_message(bad, now)
        except Exception:
            logger.exception("a frame could not be handled")
            self._close(INTERNAL, now)
        if answers:
            self.effects.append(do.SendFrames(answers))
            if frames.too_many_bad(now):
                self._penalize()
                self._close(TOO_MANY_BAD_FRAMES, now)
        return self._charge(now) if frames.charge else 0.0

    def _handle_frame(self, part: bytes, now: float) -> list[bytes] | None:
        """:returns: the answer, where there is one at once"""
        frames = self._frames
        try:
            frame = self._decode(part)
        except BadFrame as bad:
            return frames.refuse_part(part, bad, now)
        if isinstance(frame, PingIn):
            return frames.answer_ping(frame)
        try:
            if isinstance(frame, ChatIn):
                to, size = frames.check_chat(frame)
                self._sends.put(to, frame.message_id, frame.message, size)
            elif isinstance(frame, AckIn):
                self._handle_ack(frame, now)
            elif isinstance(frame, TypingIn):
                to = frames.check_typing(frame)
                self._typing = self._typing or TypingThrottle()
                if self._typing.admits(to, now):
                    self.effects.append(do.SendTyping(to, frame.active))
            else:
                self._handle_watch(frame)
        except ApiError as error:
            return frames.refuse(error, frame, now)
        return None

    def _handle_watch(self, frame: WatchIn | UnwatchIn) -> None:
        mobiles = self._frames.check_watch(frame, self._watch_limit)
        if isinstance(frame, WatchIn):
            self._watches += 1
            self.effects.append(do.Watch(mobiles))
        else:
            self.effects.append(do.Unwatch(mobiles))

    def _watched(self, watch: do.Watch, result: Any, now: float) -> None:
        self._watches -= 1
        if isinstance(result, Exception):
            error = _error_of(result)
            if error is None:
                self._fail(result, now)
            else:
                self._send_error(error, "watch", watch_names(watch.mobiles))
        else:
            views = [self._dialect.presence(mobile, *view) for mobile, view in result]
            self.effects.append(do.SendFrames([frame for frames in views for frame in frames]))
        self.effects.append(_RESUME)

    def _handle_ack(self, ack: AckIn, now: float) -> None:
        frames, window = self._frames, self._window
        if not frames.names_chats(ack):
            ids = frames.check_entries(ack)
            for stream_id in ids:
                if stream_id not in window:
                    check_stream_id(stream_id)
            counted = self._acknowledge(ids, now)
            if counted < len(ids):
                frames.spend_on_names(len(ids), counted)
            return
        sender, message_ids = frames.check_chats(ack)
        if ack.ack_type == "read":
            self._acknowledgements.add_read(sender, message_ids, now)
            return
        counted = self._acknowledge(window.find(sender, message_ids), now)
        if counted < len(message_ids):
            window.keep_early_acks((sender, message_id) for message_id in message_ids)
        frames.spend_on_names(len(message_ids), counted)

    def _charge(self, now: float) -> float:
        """:returns: seconds until the person has paid for the work that they cause on this server"""
        frames = self._frames
        charge, wasted, frames.charge, frames.wasted = frames.charge, frames.wasted, 0.0, 0.0
        bucket = self._bucket
        if self._over_since is not None and bucket.left(now) >= bucket.burst / 2:
            self._over_since = None  # with less than that it is still the same flood
        pause = bucket.charge(charge, now)
        if not pause:
            return 0.0
        if self._over_since is None:
            self._over_since, self._charged, self._wasted = now, 0.0, 0.0
        self._charged += charge
        self._wasted += wasted
        if now - self._over_since >= OVER_SECONDS and self._wasted > self._charged / 2:
            self._penalize()
            self._close(TOO_MANY_FRAMES, now)
        return pause

    # ---- chats of the client: stored, then confirmed as sent

    def _store_chats(self) -> None:
        self.effects += self._sends.take_ready()

    def _stored(self, store: do.StoreChats, result: Any, now: float) -> None:
        if isinstance(result, NotCached):
            self._load(store.to, store, now)
            return
        if isinstance(result, CommandFailed):
            result = ApiError("internal")  # of these chats; those for other people go on
        elif isinstance(result, Exception) and not isinstance(result, ApiError):
            self._sends.failed(store)
            self._fail(result, now)
            return
        if self._window.shared and isinstance(result, list) and (copies := _copies(store, result)):
            self.effects.append(do.StoreOwn(store, result, copies))
            return
        self._answer(store, result)

    def _own_stored(self, own: do.StoreOwn, result: Any, now: float) -> None:
        """The chats are stored for the recipient. Where they could not be copied, the client sends them again, and gets
        the same streamIds: then the copies are made."""
        store = own.store
        if isinstance(result, NotCached):
            self._load(self._mobile, own, now)
            return
        if isinstance(result, Exception):
            error = _error_of(result)
            if error is None:
                self._sends.failed(store)
                self._fail(result, now)
                return
            self._answer(store, [each if isinstance(each, ApiError) else error for each in own.results])
            return
        self._window.shared = result
        self._answer(store, own.results)

    def _answer(self, store: do.StoreChats, result: list[str | ApiError] | ApiError) -> None:
        """Tell the client what became of its chats."""
        answers, following = self._sends.answered(store, result)
        dialect, to = self._dialect, store.to
        frames: list[bytes] = []
        for message_id, answer in answers:
            if isinstance(answer, ApiError):
                frames += dialect.error(answer, "chat", FrameNames(message_id, to))
            else:
                frames += dialect.sent(message_id, to, parse_stream_id(answer)[0])
        self.effects.append(do.SendFrames(frames))
        if following is not None:
            self.effects.append(following)
        self.effects.append(_RESUME)

    # ---- entries for the client: fetched, sent, acknowledged

    def notify(self, stream_id: str, now: float) -> None:
        """This entry waits; "": look again, whatever was read."""
        if not self.ended and self._early is None:
            self._reader.notify(stream_id)
            self._advance(now)

    def prefetch(self, now: float) -> None:
        """An entry is being stored for this user: a fetch that leaves now finds it."""
        if not self.ended and self._early is None:
            self._reader.prefetch()
            self._advance(now)

    def pause_output(self) -> None:
        """The client does not read entries as fast as they come."""
        self._output_paused = True

    def resume_output(self, now: float) -> None:
        """All entries were sent."""
        self._output_paused = False
        self._advance(now)

    def _fetched(self, fetch: do.FetchEntries, result: Any, now: float) -> None:
        if not isinstance(result, Fetched) or result.verdict != "ok":
            self._window.put_back(fetch.settled, now)
            self._reader.failed(now)
            if isinstance(result, Fetched):
                self._renew_lease()  # it finds out whether another connection has it
            elif not isinstance(result, ApiError):
                self._fail(result, now)
            return
        window = self._window
        if fetch.settled:
            window.forget([entry.stream_id for entry in fetch.settled])
        window.shared = window.shared or result.shared
        encoded = self._reader.fetched(fetch, result, window, now)
        if self.ended:
            return
        if encoded.frames:
            self.effects.append(do.SendEntries(encoded.frames))
        if encoded.receipts:
            self._acknowledgements.add_unconfirmed(encoded.receipts, now)
        if encoded.acknowledged:
            self._acknowledge(encoded.acknowledged, now)
        for stream_id in encoded.failed:
            self.effects.append(do.CountFailure(stream_id))

    def _failure_counted(self, failure: do.CountFailure, result: Any, now: float) -> None:
        if isinstance(result, Exception):
            if not isinstance(result, ApiError):  # else it is not counted this time
                self._fail(result, now)
        elif result >= self._dead_letter_after:
            logger.error("an entry is a dead letter", stream_id=failure.stream_id, failures=result)

    def _acknowledge(self, ids: Sequence[str], now: float) -> int:
        """The client has these entries.

        :returns: how many of them were waited for. The rest is settled, or not this device's, or it was pending when
            the connection began: then the acknowledgement counts as soon as the entry is fetched
        """
        window = self._window
        chats, receipts = window.acknowledge(ids)
        if receipts:
            self._settle_later(receipts, now)
        if chats:
            self._acknowledgements.add_delivered(chats, now)
        counted = len(chats) + len(receipts)
        if counted < len(ids) and window.early_acks is not None:
            window.keep_early_acks([stream_id for stream_id in ids if stream_id not in window])
        return counted

    def pong(self, mark: int, now: float) -> None:
        """The pong for this ping: receipts sent before it have arrived (seed dialect)."""
        if not self.ended and (receipts := self._acknowledgements.ponged(mark, now)):
            self._acknowledge(receipts, now)
            self._advance(now)

    def _pinged(self, _ping: do.Ping, result: Any, now: float) -> None:
        if isinstance(result, Exception):
            self._fail(result, now)
        else:
            self._acknowledgements.pinged(result)

    # ---- receipts: stored for the senders, and only then the entries are settled

    def change_privacy(self, privacy: Privacy) -> None:
        """The user hides this from now on."""
        self._privacy = self._reader.privacy = privacy

    def _begin_receipts(self, now: float) -> None:
        effects = self._acknowledgements.begin(now, shared=self._window.shared)
        self.effects += effects if self._privacy.stranger_receipts else map(_ask_first, effects)

    def _side_found(self, find: do.FindSide, result: Any, now: float) -> None:
        """Only of a user who tells strangers nothing: for everybody else it would be one more trip."""
        then = find.then
        if not isinstance(result, Exception) and told_receipt(result, "delivered"):
            self.effects.append(then)
        else:
            self._receipt_sent(_receipt_of(then), result if isinstance(result, Exception) else None, now)

    def _noted(self, note: do.NoteDelivered, result: Any, now: float) -> None:
        receipt = note.receipt
        if note.state == "d":  # the receipt's own reply goes on
            if isinstance(result, Exception) and _error_of(result) is None:
                self._fail(result, now)
            return
        if isinstance(result, Exception):
            self._receipt_sent(receipt, result, now)
            return
        if result:
            known = set(result)
            left = [pair for pair in zip(receipt.message_ids, receipt.stream_ids, strict=True) if pair[0] not in known]
            receipt.message_ids, receipt.stream_ids = [name for name, _ in left], [at for _, at in left]
        if receipt.message_ids:
            self.effects.append(receipt)
        else:
            self._receipt_sent(receipt, None, now)

    def _receipt_sent(self, receipt: do.SendReceipt, result: Any, now: float) -> None:
        if isinstance(result, NotCached):
            self._load(receipt.sender, receipt, now)
            return
        if receipt.kind == "read":
            if result is None:
                self.effects.append(do.MarkRead(receipt.sender, receipt.ids))
            else:
                self._read_failed(receipt.sender, receipt.ids, result, now)
            return
        if result is None:
            self._settle_later(receipt.ids, now)
        elif (error := _error_of(result)) is None:
            self._acknowledgements.drop()
            self._fail(result, now)
            return
        else:
            if isinstance(result, CommandFailed):
                self._window.forget(receipt.ids)  # they come again on the next connection, and take no room until then
                self._reader.note_progress(self._window, now)
            else:
                self._window.reopen(receipt.ids)
            self._send_error(error, "ack", ack_names(receipt.sender, (), receipt.ids))
        self._continue_round(now)

    def _unread_found(self, unread: do.FindUnread, result: Any, now: float) -> None:
        if isinstance(result, Exception):
            self._read_failed(unread.sender, unread.message_ids, result, now)
            return
        tells = told_receipt(result.side, "read")
        names = result.message_ids if tells == "read" else result.unacknowledged if tells else []
        if not names:
            # Another device may have marked them, or nobody is to be told. Here they are settled all the same.
            self.effects.append(do.MarkRead(unread.sender, unread.message_ids))
        else:
            times = dict(zip(result.message_ids, result.stream_ids, strict=True))
            told = do.SendReceipt(unread.sender, "read", names, unread.message_ids, tells=tells or "")
            told.stream_ids = [times[name] for name in names]
            self.effects.append(told)
            if self._window.shared:
                # Behind it in the same write: before it, the receipt of another device would be kept back although this
                # one was never stored, if this server ended in between.
                self.effects.append(do.NoteDelivered("d", told))

    def _read_marked(self, marked: do.MarkRead, result: Any, now: float) -> None:
        if isinstance(result, Exception):
            self._read_failed(marked.sender, marked.message_ids, result, now)
            return
        self._window.forget(result)
        self._acknowledgements.forget(result)
        self._reader.note_progress(self._window, now)
        self._continue_round(now)

    def _read_failed(self, sender: str, message_ids: list[str], result: Exception, now: float) -> None:
        error = _error_of(result)
        if error is None:
            self._acknowledgements.drop()
            self._fail(result, now)
            return
        self._window.count_anew(self._window.find(sender, message_ids))
        self._send_error(error, "ack", ack_names(sender, message_ids, ()))
        self._continue_round(now)

    def _continue_round(self, now: float) -> None:
        self.effects += self._acknowledgements.next(now)
        self.effects.append(_RESUME)

    def _settle_later(self, ids: Sequence[str], now: float) -> None:
        self._window.settle_later(ids, now)
        self._reader.note_progress(self._window, now)

    def _settled(self, settle: do.Settle, result: Any, now: float) -> None:
        if result is None:
            self._window.forget([entry.stream_id for entry in settle.settled])
        elif isinstance(result, (ApiError, CommandFailed)):
            logger.warning("entries could not be settled", entries=len(settle.settled), again=not self.ended)
            if self.ended:
                self._window.drop_to_settle()
            else:
                self._window.put_back(settle.settled, now)
        else:
            self._fail(result, now)

    # ---- users that Redis does not hold

    def _load(self, mobile: str, then: do.StoreChats | do.StoreOwn | do.SendReceipt, now: float) -> None:
        if then.retried:
            self._replies[type(then)](self, then, ApiError("unavailable"), now)
        else:
            then.retried = True
            self.effects.append(do.LoadUser(mobile, then))

    def _loaded(self, load: do.LoadUser, result: Any, now: float) -> None:
        then = load.then
        if result is None:
            self.effects.append(then)
            return
        if isinstance(then, do.SendReceipt) and isinstance(result, ApiError) and result.code == "no_such_person":
            result = None  # the account is gone: nobody is left to be told
        self._replies[type(then)](self, then, result, now)

    # ---- the lease

    def age_ms(self, now: float) -> int:
        """Since the client's last sign of life."""
        return int((now - self.last_sign_of_life) * 1000)

    def prove(self) -> None:
        """The client gave a sign of life, and does not leave: the connection may replace one that lives."""
        if self.is_proving:
            self._lease.end_proof(LeaseState.CLAIMING)
            self.is_proving = False
            self.effects.append(do.ClaimLease("proven"))

    @property
    def has_lease(self) -> bool:
        """Whether it was claimed: the client was greeted, and may be sent something."""
        return self._lease.state is LeaseState.HELD

    def _claimed(self, claim: do.ClaimLease, result: Any, now: float) -> None:
        if claim.mode == "again":
            self._reclaimed(result, now)
        elif isinstance(result, Claimed):
            self._lease.state, self._lease.epoch = LeaseState.HELD, result.epoch
            self.change_privacy(result.privacy)
            self._window.shared = result.devices > 1
            self.effects.append(do.RecordEvent("connect", ""))
            self.effects.append(do.SendHello(result.epoch))
            self._reader.begin(result.newest)
            self._listen(now)
        elif isinstance(result, Unproven):
            if self.ended:
                self._refuse_lease(UNREACHABLE, now)
            else:
                self._lease.begin_proof(now)
                self.is_proving = True
                self.effects.append(do.Ping())
        elif isinstance(result, ApiError):
            self._early = [] if self._early is not None else None
            self._refuse_lease(_CLOSES.get(result.code, UNAVAILABLE), now)
        else:
            self._early = [] if self._early is not None else None
            self._lease.state = LeaseState.REFUSED
            self._fail(result, now)
            self._listen(now)

    def _refuse_lease(self, close: Close, now: float) -> None:
        """What a client said before it left needs no lease to be stored."""
        self._lease.end_proof(LeaseState.REFUSED)
        self.is_proving = False
        self._close(close, now)
        self._listen(now)

    def devices_changed(self) -> None:
        """Another device of the user is connected for the first time. How many there are, the next renewal says."""
        self._window.shared = True

    def _listen(self, now: float) -> None:
        """The lease is claimed, or never will be: handle what came meanwhile, and from now on all at once."""
        early, self._early = self._early or [], None
        for data in early:
            self._handle_message(data, now)
        self._store_chats()
        self.effects.append(_RESUME)

    def _renew_lease(self) -> None:
        if not self.ended and self._lease.renewing is None:
            self._lease.begin_renewal(self.last_sign_of_life)
            # A claim whose reply was lost may have been executed: a renewal would then find the lease ours, and nobody
            # would ever hear of another epoch, nor look at what is pending.
            self.effects.append(do.ClaimLease("again") if self._lease.in_doubt else do.RenewLease())

    def _renewed(self, _renew: do.RenewLease, result: Any, now: float) -> None:
        lease = self._lease
        if isinstance(result, Exception):
            lease.end_renewal(answered=False)
            self._lease_failed(result, now)
            return
        verdict = result.verdict
        if verdict == "gone":
            # It ended while Redis was away or the client silent, or Redis lost it, and perhaps more. It is not ours
            # again before the client gives a sign: others have seen that they are gone, and they may be.
            if self.ended:
                lease.end_renewal(answered=True)
            else:
                self.effects.append(do.ClaimLease("again"))
            return
        lease.end_renewal(answered=True)
        if verdict == "replaced":
            self._close(REPLACED, now)
            return
        self.change_privacy(result.privacy)
        self._window.shared = result.devices > 1
        if result.newest and not self.ended:
            self._reader.notify(result.newest)

    def _reclaimed(self, result: Any, now: float) -> None:
        lease = self._lease
        lease.end_renewal(answered=isinstance(result, (Claimed, Silent)))
        if isinstance(result, Claimed):
            lease.in_doubt = False
            before, lease.epoch = lease.epoch, result.epoch
            self.change_privacy(result.privacy)
            self._window.shared = result.devices > 1
            if self.ended:
                if self._leaving:
                    self._release_lease()  # the one before may have found nothing to release
                return
            if before != result.epoch:
                words = "storage lost something: send unanswered chats again"
                self.effects.append(do.SendEntries(self._dialect.resync(result.epoch, words)))
            self._reader.begin(result.newest)
        elif not isinstance(result, Silent):
            lease.in_doubt = True
            self._lease_failed(result, now)

    def _lease_failed(self, error: Exception, now: float) -> None:
        if isinstance(error, Superseded):
            self._close(REPLACED, now)
        elif not isinstance(error, ApiError):
            self._fail(error, now)
        elif error.code != "unavailable":
            self._close(_CLOSES.get(error.code, UNAVAILABLE), now)

    # ---- time

    def tick(self, now: float) -> None:
        """Once a second."""
        if self.ended or self._early is not None:
            return
        if self._lease.is_due(self.last_sign_of_life, now):
            self._renew_lease()
        self._reader.check_overdue(self._window, now)
        if self._reader.stuck_seconds(self._window, now) >= self._stuck_seconds:
            self._close(SLOW_CONSUMER, now)
        self._advance(now)

    def timer(self, now: float) -> None:
        """The :attr:`deadline` has come."""
        if self._lease.proof_until <= now:
            self._refuse_lease(UNREACHABLE, now)
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Begin what is due. Called at the end of every input that can make something due."""
        if not self.ended:
            acknowledgements, window, reader = self._acknowledgements, self._window, self._reader
            deadline = self._lease.proof_until
            if acknowledgements.due <= now:
                self._begin_receipts(now)
            if not self._output_paused:
                if acknowledgements.ping_due <= now:
                    acknowledgements.begin_ping(now)
                    self.effects.append(do.Ping())
                deadline = min(deadline, acknowledgements.ping_due)
                # In doubt, entries might come of a mailbox that began anew, before the client is told so.
                if not self._lease.in_doubt:
                    if reader.awake and not reader.under_way:
                        self._fetch(now)
                    deadline = min(deadline, reader.retry_at)
            if window.settle_due <= now:
                self.effects.append(do.Settle(window.take_to_settle()))
            if self._drain_after is not None and not self.in_hand:
                self._send_error(ApiError("draining", retry_after=self._drain_after), "server", FrameNames())
                self._close(DRAINING, now)
            self.deadline = min(deadline, acknowledgements.due, window.settle_due)
        if self.ended:
            self._advance_end()
            self.deadline = NEVER

    def _fetch(self, now: float) -> None:
        reader, window = self._reader, self._window
        fetch = reader.next(window, now)
        if fetch is not None:
            if window.settle_due < NEVER:
                fetch.settled = window.take_to_settle()
            self.effects.append(fetch)
        elif not reader.synced and reader.take_synced(window) and (frames := self._dialect.synced(reader.waited)):
            self.effects.append(do.SendEntries(frames))

    # ---- the end

    def close(self, close: Close, now: float) -> None:
        """End the connection. What arrived before is worked through, unless its sender may speak no more."""
        self._close(close, now)
        self._advance(now)

    def _close(self, close: Close, now: float) -> None:
        if self.ended:
            return
        if close in (LOGGED_OUT, TOKEN_EXPIRED, NUMBER_CHANGED):
            self._sends.drop()
            self._early = [] if self._early is not None else None
        if close is REPLACED:
            self.effects.append(do.Penalize("replaced"))
        self._end(close.reason, now)
        self.effects.append(do.CloseSocket(close))

    def drain(self, retry_after: float, now: float) -> None:
        """This server goes down: finish what is in hand, and tell the client when to come back (in seconds)."""
        if not self.ended:
            self._is_muted = True  # what comes from now on is not answered: the client sends it again elsewhere
            self._drain_after = retry_after
            self._advance(now)

    def lost(self, code: int, reason: str, now: float) -> None:
        """The socket is gone."""
        if not self.ended:
            self._end(f"{code} {reason}".strip(), now)
        self._advance(now)

    def violation(self) -> None:
        """The socket is closed for what the client sent."""
        if not self.ended:
            self._penalize()

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """What became of an effect; see delivery/session/effects.py."""
        handle = self._replies.get(type(effect))
        if handle is not None:
            handle(self, effect, result, now)
        else:
            self._fail(result, now)  # effects without a reply: the shell says only that one failed
        self._advance(now)

    def fail(self, error: BaseException, now: float) -> None:
        """An input or a reply could not be handled. What waits for it may never be done: the end waits for nothing."""
        self._has_failed = True
        self._fail(error, now)
        self._advance(now)

    def _end(self, reason: str, now: float) -> None:
        self.ended, self._reason = True, reason
        if self.is_proving:
            self._refuse_lease(UNREACHABLE, now)
        self._store_chats()

    def _advance_end(self) -> None:
        """Finish what is under way, then settle what may be settled, then release the lease, then leave."""
        if self._leaving or self._lease.state is LeaseState.CLAIMING:
            return
        if not self._has_failed:
            if self._sends.pending:
                return
            acknowledgements = self._acknowledgements
            if acknowledgements.due < NEVER:
                self._begin_receipts(acknowledgements.due)
            if acknowledgements.pending:
                return
        if self._window.settle_due < NEVER:
            self.effects.append(do.Settle(self._window.take_to_settle()))
            return
        self._leaving = True
        self._release_lease()

    def _release_lease(self) -> None:
        self._releases += 1
        self.effects.append(do.ReleaseLease())

    def _released(self, _release: do.ReleaseLease, result: Any, now: float) -> None:
        if isinstance(result, Exception):
            self._fail(result, now)
        self._releases -= 1
        if self._releases or self.left:
            return
        self.left = True
        self.effects.append(do.LeaveHub())
        if self._lease.epoch:
            self.effects.append(do.RecordEvent("disconnect", self._reason))

    def _fail(self, error: BaseException, now: float) -> None:
        """Our own code failed, or a key of this person is broken. After the second they may come back: somebody may
        have mended it."""
        if isinstance(error, CommandFailed):
            self._close(UNAVAILABLE, now)
        else:
            logger.error("a connection failed", exc_info=error)
            self._close(INTERNAL, now)

    def _send_error(self, error: ApiError, component: str, names: FrameNames) -> None:
        self.effects.append(do.SendFrames(self._dialect.error(error, component, names)))

    def _penalize(self) -> None:
        """A connection closed for what its client sent counts once; one that ends for another cause does not."""
        if not (self._is_penalized or self.ended):
            self._is_penalized = True
            self.effects.append(do.Penalize("violation"))

    _replies: Final[dict[type[Effect], Callable[[Any, Any, Any, float], None]]] = {
        do.StoreChats: _stored,
        do.StoreOwn: _own_stored,
        do.FetchEntries: _fetched,
        do.NoteDelivered: _noted,
        do.SendReceipt: _receipt_sent,
        do.Watch: _watched,
        do.FindSide: _side_found,
        do.FindUnread: _unread_found,
        do.MarkRead: _read_marked,
        do.Settle: _settled,
        do.LoadUser: _loaded,
        do.ClaimLease: _claimed,
        do.RenewLease: _renewed,
        do.ReleaseLease: _released,
        do.Ping: _pinged,
        do.CountFailure: _failure_counted,
    }


def _ask_first(effect: Effect) -> Effect:
    """Whether the sender gets receipts is to be looked up."""
    if isinstance(effect, (do.NoteDelivered, do.SendReceipt)):
        return do.FindSide(_receipt_of(effect).sender, effect)
    return effect


def _receipt_of(effect: do.NoteDelivered | do.SendReceipt) -> do.SendReceipt:
    return effect.receipt if isinstance(effect, do.NoteDelivered) else effect


def _copies(store: do.StoreChats, results: list[str | ApiError]) -> list[tuple[str, str, int]]:
    """Those chats that were stored, with the time that the client is told."""
    return [
        (message_id, message, parse_stream_id(result)[0])
        for (message_id, message), result in zip(store.chats, results, strict=True)
        if not isinstance(result, ApiError)
    ]


def _error_of(result: Exception) -> ApiError | None:
    """What the client is told of an acknowledgement that could not be passed on; None: our own code failed.

    A script that fails concerns one person, one of whose keys is broken, say: it is no reason to end the connections of
    everybody who writes to them.
    """
    if isinstance(result, CommandFailed):
        return ApiError("internal")
    return result if isinstance(result, ApiError) else None
