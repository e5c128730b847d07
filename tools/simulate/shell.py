"""The counterpart of delivery/session/connection.py: runs a session's effects in order and feeds the replies back."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from delivery.presence import Holder
from delivery.results import Claimed, NotCached
from delivery.session import effects as do
from delivery.session.session import Session
from protocol.errors import Close
from protocol.messages import batch_frames
from tools.simulate.orders import Orders
from tools.simulate.socket import Socket
from tools.simulate.storage import UNAVAILABLE, Copied, Read, Stored
from tools.simulate.timeline import Timer

if TYPE_CHECKING:
    from tools.simulate.server import Server

UNSENT_BYTES: Final = 4096
"""So much unsent, and further entries wait until the client has read."""
LOOP_SECONDS: Final = 0.0001
"""A timer that is due at once runs when the loop has come round."""
MOST_TIMERS: Final = 400
"""In a second. More means that a timer brings nothing and is set again at once."""
SEED: Final = "seed"
NEVER: Final = float("inf")


class Place(NamedTuple):
    """Who connects, from where."""

    mobile: str
    device: str
    dialect: str


class Connection:
    """One client's."""

    def __init__(self, server: "Server", socket: Socket, place: Place, number: int) -> None:
        self.server, self.socket = server, socket
        self.holder = Holder(place.mobile, place.device, server.id, f"{server.id}/{number}")
        self.session: Session = server.make_session(place)
        self._place = place
        self.joins_frames = place.dialect != SEED
        self._backlog: deque[bytes | do.Ping] | None = None
        self._is_running = False
        self._timer: Timer | None = None
        self._timer_at = NEVER
        self._timers = 0
        self._orders = Orders(self.session, lambda what: server.report(f"{self.holder.connection_id}: {what}"))

    def start(self) -> None:
        """Enter the hub and claim the lease."""
        self.server.enter(self)
        self._run()

    @property
    def now(self) -> float:
        """Of the server's monotonic clock."""
        return self.server.timeline.now

    # ---- what the socket calls

    @property
    def is_full(self) -> bool:
        """Whether no message may be handed over."""
        return self.session.is_full

    def handle_message(self, data: str) -> float:
        """One message."""
        pause = self.session.message(data, self.now)
        self._run()
        return pause

    def handle_batch_end(self) -> None:
        """All that had arrived was handed over."""
        self.session.batch_end(self.now)
        self._run()

    def handle_sign_of_life(self) -> None:
        """Bytes arrived."""
        self.session.last_sign_of_life = self.now
        if self.session.is_proving:
            self.server.timeline.at(self.now, self.server.call, self._prove)

    def handle_pong(self, mark: int) -> None:
        """A pong arrived."""
        self.session.pong(mark, self.now)
        self._run()

    def handle_lost(self, code: int, reason: str) -> None:
        """The socket is gone."""
        self.session.lost(code, reason, self.now)
        self._run()

    def _prove(self) -> None:
        if not self.socket.is_closing:
            self.session.prove()
            self._run()

    # ---- what the hub calls

    def notify(self, stream_id: str) -> None:
        """This entry waits."""
        self.session.notify(stream_id, self.now)
        self._run()

    def prefetch(self) -> None:
        """An entry is being stored."""
        self.session.prefetch(self.now)
        self._run()

    def devices_changed(self) -> None:
        """Another device of the user is there."""
        self.session.devices_changed()

    def close(self, close: Close) -> None:
        """End it."""
        self.session.close(close, self.now)
        self._run()

    def drain(self, retry_after: float) -> None:
        """The server goes down."""
        self.session.drain(retry_after, self.now)
        self._run()

    def tick(self) -> None:
        """Once a second."""
        self.session.tick(self.now)
        self._run()
        self.socket.tick()
        if self._timers > MOST_TIMERS:
            self.server.report(f"{self.holder.connection_id}: the timer was run {self._timers} times in a second")
        self._timers = 0

    # ---- effects

    def _run(self) -> None:
        if self._is_running:
            return
        session = self.session
        self._is_running = True
        while session.effects:
            effects, session.effects = session.effects, []
            for effect in effects:
                self.server.trace(self.holder.connection_id, effect)
                self._orders.emitted(effect)
                _RUN[type(effect)](self, effect)
        self._is_running = False
        if session.deadline < self._timer_at and not session.left:
            self._set_timer(session.deadline)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.server.timeline.at(max(at, self.now + LOOP_SECONDS), self.server.call, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        self._timers += 1
        if self.session.deadline <= self.now:
            self.session.timer(self.now)
        self._run()

    def _reply(self, effect: do.Effect, result: Any) -> None:
        self.server.trace(self.holder.connection_id, result)
        self._orders.answered(effect, result)
        self.session.reply(effect, result, self.now)
        self._run()

    def _ask(self, effect: do.Effect, run: Callable[[], Any], *, may_repeat: bool = True) -> None:
        self.server.link.send(run, lambda result: self._reply(effect, result), may_repeat=may_repeat)

    # ---- chats and receipts

    def _store_chats(self, store: do.StoreChats) -> None:
        server, sender = self.server, self.holder.mobile
        server.prefetch(store.to)

        def reply(result: Any) -> None:
            if isinstance(result, Stored):
                self._notify(store.to, result)
                result = result.results
            self._reply(store, result)

        chats = tuple(store.chats)
        server.link.send(lambda: server.storage.store_chats(server.id, store.to, sender, chats), reply)

    def _store_own(self, own: do.StoreOwn) -> None:
        storage, server_id, chats = self.server.storage, self.server.id, tuple(own.chats)

        def reply(result: Any) -> None:
            if isinstance(result, Copied):
                self._notify(self.holder.mobile, result)
                result = not result.alone
            self._reply(own, result)

        self.server.link.send(lambda: storage.store_own(server_id, self.holder, own.store.to, chats), reply)

    def _note_delivered(self, note: do.NoteDelivered) -> None:
        receipt, storage = note.receipt, self.server.storage
        sender, names = receipt.sender, list(receipt.message_ids)
        self._ask(note, lambda: storage.note_delivered(self.holder.mobile, sender, names, note.state))

    def _send_receipt(self, receipt: do.SendReceipt) -> None:
        server, mobile, names = self.server, self.holder.mobile, list(receipt.message_ids)
        server.prefetch(receipt.sender)
        results: list[Any] = []

        def reply(result: Any) -> None:
            if isinstance(result, Stored):
                self._notify(receipt.sender, result)
            results.append(result)
            if len(results) == 2:
                self._reply(receipt, _first_error(results))

        storage = server.storage
        # The product has two scripts for it, which promise the same.
        server.link.send(lambda: storage.note_delivered(mobile, receipt.sender, names, "a"), reply)
        server.link.send(
            lambda: storage.store_receipt(server.id, receipt.sender, mobile, receipt.tells or receipt.kind, names),
            reply,
        )

    def _find_unread(self, unread: do.FindUnread) -> None:
        storage, mobile = self.server.storage, self.holder.mobile
        self._ask(unread, lambda: storage.find_unread(mobile, unread.sender, unread.message_ids))

    def _mark_read(self, mark: do.MarkRead) -> None:
        storage, server_id = self.server.storage, self.server.id

        def reply(result: Any) -> None:
            if isinstance(result, Read):
                self._notify(self.holder.mobile, result)
                result = result.stream_ids
            self._reply(mark, result)

        names = list(mark.message_ids)
        self.server.link.send(lambda: storage.mark_read(server_id, self.holder, mark.sender, names), reply)

    def _load_user(self, load: do.LoadUser) -> None:
        self.server.load(load.mobile, lambda result: self._reply(load, result))

    def _notify(self, mobile: str, stored: Stored | Copied | Read) -> None:
        if self.server.id in stored.servers:
            self.server.notify(mobile, stored.newest)

    # ---- entries

    def _fetch_entries(self, fetch: do.FetchEntries) -> None:
        # Executed twice, the second reply would lack what the first one brought: nothing repeats this command.
        storage, settled = self.server.storage, tuple(fetch.settled)
        self._ask(
            fetch,
            lambda: storage.fetch(self.holder, fetch.mode, fetch.count, fetch.cursor, fetch.ids, settled),
            may_repeat=False,
        )

    def _settle(self, settle: do.Settle) -> None:
        storage, settled = self.server.storage, tuple(settle.settled)
        self._ask(settle, lambda: storage.settle(self.holder.mobile, self.holder.device, settled))

    def _count_failure(self, failure: do.CountFailure) -> None:
        self.server.report(f"{self.holder.connection_id}: an entry could not be encoded: {failure.stream_id}")

    # ---- the lease

    def _claim_lease(self, claim: do.ClaimLease, *, has_loaded: bool = False) -> None:
        server, written = self.server, self.now

        def run() -> Any:
            late_ms = int((server.timeline.now - written) * 1000)
            return server.storage.claim(self.holder, claim.mode, age_ms, late_ms)

        def reply(result: Any) -> None:
            if isinstance(result, NotCached):
                if has_loaded:
                    self._reply(claim, UNAVAILABLE)
                else:
                    server.load(self.holder.mobile, loaded)
            elif isinstance(result, Claimed) and result.before is not None:
                server.replaced(*result.before, self.holder.mobile, lambda error: self._reply(claim, error or result))
            else:
                self._reply(claim, result)

        def loaded(error: Any) -> None:
            if error is None:
                self._claim_lease(claim, has_loaded=True)
            else:
                self._reply(claim, error)

        age_ms = self.session.age_ms(self.now)
        server.link.send(run, reply)

    def _renew_lease(self, renew: do.RenewLease) -> None:
        server, written, age_ms = self.server, self.now, self.session.age_ms(self.now)
        self._ask(
            renew,
            lambda: server.storage.renew(self.holder, age_ms, int((server.timeline.now - written) * 1000)),
        )

    def _release_lease(self, release: do.ReleaseLease) -> None:
        storage, age_ms = self.server.storage, self.session.age_ms(self.now)
        self.server.link.send(lambda: storage.release(self.holder, age_ms), lambda _: self._reply(release, None))

    def _leave_hub(self, _leave: do.LeaveHub) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.server.leave(self)

    # ---- the socket

    def _send_frames(self, send: do.SendFrames) -> None:
        for message in batch_frames(send.frames, joined=self.joins_frames):
            self.socket.send(message)

    def _send_hello(self, hello: do.SendHello) -> None:
        frames = self.server.hello(self._place, self.holder.connection_id, hello.epoch)
        self._send_entries(do.SendEntries(frames))

    def _send_entries(self, send: do.SendEntries) -> None:
        socket, backlog = self.socket, self._backlog
        for message in batch_frames(send.frames, joined=self.joins_frames):
            if backlog is None and socket.unsent_bytes <= UNSENT_BYTES:
                socket.send(message)
                continue
            if backlog is None:
                self._backlog = backlog = deque()
                self.session.pause_output()
                socket.when_drained(self._send_backlog)
            backlog.append(message)

    def _send_backlog(self) -> None:
        socket, backlog = self.socket, self._backlog
        if backlog is None:
            return
        while backlog and socket.unsent_bytes <= UNSENT_BYTES:
            first = backlog.popleft()
            if isinstance(first, do.Ping):
                self._reply(first, socket.ping())
            else:
                socket.send(first)
        if backlog:
            socket.when_drained(self._send_backlog)
        else:
            self._backlog = None
            self.session.resume_output(self.now)
            self._run()

    def _ping(self, ping: do.Ping) -> None:
        if self._backlog is not None:
            self._backlog.append(ping)
            return
        self.session.reply(ping, self.socket.ping(), self.now)
        if self.session.is_proving and self.socket.has_unread_messages:
            self.session.prove()

    def _close_socket(self, close: do.CloseSocket) -> None:
        self._backlog = None
        self.socket.close(close.close)

    def _resume_reading(self, _resume: do.ResumeReading) -> None:
        self.socket.resume_reading()

    def _do_nothing(self, _effect: do.Effect) -> None:
        """Of events and penalties nothing depends here."""


def _first_error(results: list[Any]) -> Exception | None:
    """NotCached only when there is no other."""
    errors = [result for result in results if isinstance(result, Exception)]
    return next((error for error in errors if not isinstance(error, NotCached)), errors[0] if errors else None)


_RUN: Final[dict[type[do.Effect], Callable[[Connection, Any], None]]] = {
    do.SendFrames: Connection._send_frames,
    do.SendHello: Connection._send_hello,
    do.SendEntries: Connection._send_entries,
    do.StoreChats: Connection._store_chats,
    do.StoreOwn: Connection._store_own,
    do.FetchEntries: Connection._fetch_entries,
    do.NoteDelivered: Connection._note_delivered,
    do.SendReceipt: Connection._send_receipt,
    do.FindUnread: Connection._find_unread,
    do.MarkRead: Connection._mark_read,
    do.Settle: Connection._settle,
    do.LoadUser: Connection._load_user,
    do.ClaimLease: Connection._claim_lease,
    do.RenewLease: Connection._renew_lease,
    do.ReleaseLease: Connection._release_lease,
    do.LeaveHub: Connection._leave_hub,
    do.Ping: Connection._ping,
    do.CloseSocket: Connection._close_socket,
    do.RecordEvent: Connection._do_nothing,
    do.Penalize: Connection._do_nothing,
    do.CountFailure: Connection._count_failure,
    do.ResumeReading: Connection._resume_reading,
}
