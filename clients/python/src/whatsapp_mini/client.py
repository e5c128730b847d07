"""The client: runs what the core decides, with a socket, timers, the store and the handler."""

import asyncio
import contextlib
import logging
import random
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from whatsapp_mini.api import Api
from whatsapp_mini.core import Core
from whatsapp_mini.core.connection import LOGGED_OUT
from whatsapp_mini.core.effects import (
    AskUnknown,
    Effect,
    Emit,
    EndSocket,
    ForgetSession,
    HandOver,
    Keep,
    KeepEpoch,
    OpenSocket,
    SendFrame,
    Settle,
)
from whatsapp_mini.core.outbox import Place
from whatsapp_mini.errors import ApiError, ClientError, Ended, LoggedOut, SendFailed, Stopped
from whatsapp_mini.events import ConnectionState, Event, FrameSeen, StateChanged
from whatsapp_mini.http import Http
from whatsapp_mini.messages import Failure, Message, digits
from whatsapp_mini.session_keeper import Clock, SessionKeeper
from whatsapp_mini.socket import Socket, open_socket
from whatsapp_mini.store import Discarded, MemoryStore, News, Read, Retried, Store
from whatsapp_mini.store_worker import StoreWorker

log = logging.getLogger("whatsapp_mini")
Handler = Callable[[Message], Awaitable[None]]
STOP_SECONDS: Final = 10.0
NO_SESSION_SECONDS: Final = 5.0
SHORTEST_SECONDS: Final = 0.5
NUMBER_CHANGED: Final = 4005
ENDS: Final = ("off", "stopped", "loggedOut")


class Client:
    """One person on one device. ``docs/clients.md`` says how it behaves.

    :param url: of the server, ``https://…``
    :param mobile_no: one's own number, in digits
    :param password: with it the client logs in by itself; not needed if the store has a session
    :param store: what must survive; by default nothing survives the process
    :param device_id: by default the stored session's, or ``primary``; two clients that run at once need two
    :param device_name: what people see in the list of their devices
    :param code: for :meth:`sign_up`, where the server sends codes
    """

    def __init__(
        self,
        url: str,
        mobile_no: str,
        password: str = "",
        *,
        store: Store | None = None,
        device_id: str | None = None,
        device_name: str | None = None,
        code: str | None = None,
        http: Http | None = None,
    ) -> None:
        self._http = http or Http(url)
        self._store = store or MemoryStore()
        self._password, self._code = password, code
        self._rng = random.SystemRandom()
        self._keeper = SessionKeeper(
            self._http,
            self._store,
            Clock(time.monotonic, time.time),
            mobile_no,
            password,
            device_id,
            device_name,
            self._rng,
        )
        self._keeper.on_logged_out = self._session_ended
        self._keeper.on_new_session = self._session_replaced
        self.api = Api(self._http, self._keeper)
        self._core = Core(digits(mobile_no), self._rng)
        self._handler: Handler | None = None
        self._state = ConnectionState("off")
        self._cause: BaseException | None = None
        self._is_started = False
        self._worker = StoreWorker(self._store, self)
        self._socket: Socket | None = None
        self._socket_task: asyncio.Task[None] | None = None
        self._handler_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        """Those of the tasks that close a socket properly."""
        self._taker: _Taker | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answers: dict[Place, list[asyncio.Future[int]]] = {}
        self._listeners: weakref.WeakSet[Events] = weakref.WeakSet()
        self._waiters: set[asyncio.Future[None]] = set()

    # ---- beginning and end

    async def sign_up(self, name: str) -> None:
        """Create the account, with the number, password and code that the client was given.

        :raises ApiError: the server refused
        """
        await self.api.sign_up(name, self._keeper.mobile_no, self._password, self._code)

    async def start(self, wait: bool = True) -> None:
        """Log in if need be, and connect. ``wait``: until it is online, however long that takes.

        :raises LoggedOut: number or password are wrong, or there is no session and no password
        :raises Stopped: the server does not want this client: ``too_many_devices``, with the devices in ``__cause__``
        :raises StoreMismatch: the store belongs to another account, server or device
        """
        if self._is_started:
            raise ClientError("The client has been started.")
        self._is_started = True
        try:
            kept = await self._store.load()
            self._keeper.load(kept.session)
            self._core = Core(digits(self._keeper.mobile_no), self._rng, self._core.watching.numbers)
            self._core.load(kept)
            self._worker.start()
            self._spawn(self._refresh_in_time())
            self._hear()
            self._core.connect_now()
            self._run()
            if wait:
                await self.online()
        except BaseException:
            await self.stop(0)
            raise

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def run(self) -> None:
        """Start, and go on until somebody stops the client. For bots with a handler.

        :raises Ended: it stopped by itself; ``__cause__`` is what the handler raised
        """
        async with self:
            await self._until(lambda: self._state.name in ENDS)
            if self._state.name != "off":
                raise self._ended()

    async def online(self) -> None:
        """Until the client is online.

        :raises Stopped: it does not try any more
        :raises LoggedOut: the session has ended
        """
        await self._until(lambda: self._state.name in ("online", *ENDS))
        if self._state.name != "online":
            raise self._ended()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Wait so long until what is on the way is answered and what was handed over is acknowledged, then end (C39).

        What waits in the store goes on waiting.
        """
        if not self._is_started:
            return
        self._core.stop_begins()
        in_handler = self._handler_task is asyncio.current_task()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(lambda: self._core.is_quiet(in_handler))
        self._core.off(self._now())
        self._run()
        await self._clean_up()
        self._is_started = False

    async def _clean_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._closing)  # what was written last is to arrive
        known = (self._handler_task, self._socket_task, *self._tasks)
        tasks = [task for task in known if task is not None and task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.finish()
        await self._keeper.settle()
        await self._http.close()
        await self._store.close()

    def connect_now(self) -> None:
        """End a pause, or ``stopped``."""
        self._check_started()
        self._cause = None
        self._core.connect_now()
        self._run()

    async def log_in(self, password: str, replace_device_id: str | None = None) -> None:
        """Begin another session, when the old one has ended or there are too many devices; and connect.

        :raises ApiError: not now
        :raises LoggedOut: the password is wrong
        """
        self._check_started()
        await self.api.log_in(password, replace_device_id)
        self._core.log_in()
        self._run()

    @property
    def state(self) -> ConnectionState:
        """What the client is doing."""
        return self._state

    @property
    def mobile_no(self) -> str:
        """One's own number, in digits."""
        return self._core.mobile_no

    # ---- messages

    async def send(self, to: str, text: str, message_id: str | None = None) -> Message:
        """Keep a message, send it, and wait until the server has stored it. Cancelled or not, it goes out.

        :raises SendFailed: it was refused for good; or the client ended before the answer (``stopped``): then it is
            kept, and goes out at the next start, if the store survives
        """
        message, answer = await self._post(to, text, message_id)
        if answer is None:
            return message
        return replace(message, state="sent", timestamp=await answer)

    async def post(self, to: str, text: str, message_id: str | None = None) -> Message:
        """Keep a message, and send it when that is possible. What becomes of it is told by events.

        :raises SendFailed: the server would refuse it in any case
        """
        message, answer = await self._post(to, text, message_id)
        if answer is not None:
            answer.cancel()
        return message

    async def retry(self, id: str) -> Message:
        """Send a failed message again, behind all others.

        :raises KeyError: no message with this id has failed
        """
        failed = self._failed(id)
        change = Retried(failed.peer, failed.id, self._core.new_id(failed))

        async def work() -> Message:
            news = await self._store.apply([change])
            message = news[0].message if news else None
            if message is None:
                raise KeyError(id)
            self._core.failed.pop((failed.peer, id), None)
            self._core.posted(message, self._now())
            self._run()
            return message

        return await self._worker.do(work)

    async def discard(self, id: str) -> None:
        """Forget a failed message.

        :raises KeyError: no message with this id has failed
        """
        failed = self._failed(id)
        await self._worker.do(lambda: self._store.apply([Discarded(failed.peer, id)]))
        self._core.failed.pop((failed.peer, id), None)

    @property
    def failed(self) -> list[Message]:
        """Messages that failed, and were neither retried nor discarded."""
        return list(self._core.failed.values())

    async def mark_read(self, peer: str, ids: Sequence[str]) -> None:
        """A person has seen these messages of ``peer`` (C34)."""
        self._check_started()
        peer, some = digits(peer), tuple(ids)

        async def work() -> None:
            await self._store.apply([Read(peer, some, "here")])
            self._core.read(peer, some, self._now())
            self._run()

        if some:
            await self._worker.do(work)

    def on_message(self, handler: Handler) -> Handler:
        """Hand each message to this function; for use as a decorator. It is acknowledged when it has returned.

        If it raises, the client stops, and the message comes again (C28).
        """
        self._handler = handler
        self._hear()
        return handler

    async def messages(self) -> AsyncGenerator[Message]:
        """The messages of others, each acknowledged when the next one is asked for.

        One that a loop was left with is handed over again.

        :raises ClientError: there is a handler, or another such loop
        :raises Ended: the client stopped by itself
        """
        if self._handler is not None or self._taker is not None:
            raise ClientError("Messages are handed to somebody else already.")
        self._taker = taker = _Taker()
        try:
            while True:
                self._hear()
                await self._until(lambda: taker.message is not None or self._state.name in ENDS)
                if taker.message is None:
                    if self._state.name == "off":
                        return
                    raise self._ended()
                yield taker.message
                taker.message = None
                self._core.handled(self._now())
                self._run()
        finally:
            self._taker = None
            self._hear()
            if taker.message is not None:
                self._core.given_back(self._now())
            self._run()

    def events(self, frames: bool = False) -> "Events":
        """What happens from now on. ``frames``: also each frame, for looking on.

        An iterator that nobody asks any more, and that is kept, collects for ever.
        """
        listener = Events(self, frames)
        self._listeners.add(listener)
        self._hear()
        return listener

    # ---- presence and typing

    def typing(self, to: str, active: bool = True) -> None:
        """May be called at each key (C37)."""
        self._core.typing(digits(to), active, self._now())
        self._run()

    def watch(self, numbers: Sequence[str]) -> None:
        """Tell by events whether these are online, from now on and after each reconnect (C36)."""
        self._core.watch([digits(number) for number in numbers])
        self._run()

    def unwatch(self, numbers: Sequence[str]) -> None:
        """No longer."""
        self._core.unwatch([digits(number) for number in numbers])
        self._run()

    # ---- what the store answers

    def kept(self, numbers: Sequence[int], news: Sequence[News]) -> None:
        """For :class:`StoreWorker`."""
        self._core.kept(numbers, news, self._now())
        self._run()

    def unknown(self, number: int, chats: Sequence[Message]) -> None:
        """For :class:`StoreWorker`."""
        self._core.unknown(number, chats, self._now())
        self._run()

    def store_failed(self, error: Exception) -> None:
        """For :class:`StoreWorker`."""
        self._cause = error
        log.error("The store failed (%s): the client stops.", type(error).__name__)
        self._core.stopped("store_failed", f"The store failed ({type(error).__name__}).", self._now())
        self._run()

    # ---- effects

    def _run(self) -> None:
        """Do what the core asks for, wake whoever waits for a change, and set the timer."""
        while effects := self._core.take():
            for effect in effects:
                self._do(effect)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        self._set_timer()

    def _do(self, effect: Effect) -> None:
        match effect:
            case SendFrame(frame):
                if self._socket is not None:
                    self._socket.send(frame)
            case Keep() | AskUnknown() | KeepEpoch():
                self._worker.put(effect)
            case Emit(event):
                self._tell(event)
            case Settle(peer, id, outcome):
                self._settle(peer, id, outcome)
            case HandOver(message):
                self._hand_over(message)
            case OpenSocket(round, refresh):
                self._socket_task = asyncio.create_task(self._connect(round, refresh))
            case EndSocket(code):
                self._end_socket(code)
            case ForgetSession():
                self._spawn(self._keeper.forget())

    def _tell(self, event: Event) -> None:
        if isinstance(event, StateChanged):
            event = StateChanged(self._as_told(event.state))
            self._state = event.state
            log.info("The connection is %s. %s", event.state.name, event.state.reason or "")
            if event.state.name == "online":
                self._keeper.is_good()
            elif event.state.name in ENDS:
                self._fail_answers()
        for listener in list(self._listeners):
            listener.put(event)

    def _as_told(self, state: ConnectionState) -> ConnectionState:
        until = None if state.until is None else time.time() + state.until - self._now()
        return replace(state, until=until)

    def _hand_over(self, message: Message) -> None:
        if self._taker is not None:
            self._taker.message = message
        elif self._handler is not None:
            self._handler_task = asyncio.create_task(self._handle(self._handler, message))

    async def _handle(self, handler: Handler, message: Message) -> None:
        try:
            await handler(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message is not acknowledged (C28)
            self._cause = error
            log.error("The handler failed (%s): the client stops.", type(error).__name__)
            self._core.stopped("handler_failed", f"The handler failed ({type(error).__name__}).", self._now())
        else:
            self._core.handled(self._now())
        self._run()

    # ---- the socket

    async def _connect(self, round: int, refresh: bool) -> None:
        try:
            if refresh and self._keeper.session is not None:
                await self._keeper.renewed(self._keeper.session.token)
            ticket = await self.api.ticket()
            generation = self._keeper.generation
            self._core.opening(round, self._now())
            self._run()
            socket = await open_socket(self._http, ticket)
        except LoggedOut:
            return  # the keeper has told it
        except ApiError as error:
            self._cause = error
            self._core.refused(round, error, self._now())
            self._run()
            return
        if round == self._core.connection.round:
            self._socket, self._cause = socket, None
            await self._read(socket, round, generation)
        else:
            socket.abort()

    async def _read(self, socket: Socket, round: int, generation: int) -> None:
        async for data in socket.messages():
            self._core.received(round, data, self._now())
            self._run()
        # Of an older session it says nothing about the one that took its place.
        is_older = socket.code == LOGGED_OUT and generation != self._keeper.generation
        self._core.closed(round, NUMBER_CHANGED if is_older else socket.code, socket.reason, self._now())
        self._run()

    def _end_socket(self, code: int | None) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            if self._socket_task is not None and self._socket_task is not asyncio.current_task():
                self._socket_task.cancel()
        elif code is None:
            socket.abort()
        else:
            self._closing.add(self._spawn(socket.close(code)))

    async def _refresh_in_time(self) -> None:
        """Refresh before the token ends (C2)."""
        while True:
            seconds = self._keeper.refresh_in()
            await asyncio.sleep(NO_SESSION_SECONDS if seconds is None else max(seconds, SHORTEST_SECONDS))
            if self._keeper.refresh_in() == 0:
                with contextlib.suppress(ApiError, LoggedOut):  # tried later by itself (C6); the keeper has told it
                    await self._keeper.token()

    def _session_ended(self, error: LoggedOut) -> None:
        if self._is_started and self._state.name not in ENDS:
            self._core.logged_out(error.code, error.reason, self._now())
            self._run()

    def _session_replaced(self) -> None:
        if self._core.connection.is_online:
            self._core.reconnect(self._now())
            self._run()

    # ---- waiting

    async def _post(self, to: str, text: str, message_id: str | None) -> tuple[Message, asyncio.Future[int] | None]:
        """The message as it is kept, and its answer, unless that is known already."""
        self._check_started()
        wanted = self._core.prepared(digits(to), text, message_id, round(time.time() * 1000))

        async def work() -> tuple[Message, asyncio.Future[int] | None]:
            kept = await self._store.add(wanted)
            if kept.text != wanted.text:
                raise SendFailed("message_id_reused", "This messageId was used for another text.", wanted.id)
            if kept.state == "failed" and kept.error is not None:
                raise SendFailed(kept.error.code, kept.error.message, kept.id)
            if kept.state != "waiting":
                return kept, None
            answer = asyncio.get_running_loop().create_future()
            self._answers.setdefault((kept.peer, kept.id), []).append(answer)
            if not self._core.outbox.waits((kept.peer, kept.id)):
                self._core.posted(kept, self._now())
                self._run()
            if self._state.name in ENDS:
                self._fail_answers()
            return kept, answer

        return await self._worker.do(work)

    def _settle(self, peer: str, id: str, outcome: int | Failure) -> None:
        for answer in self._answers.pop((peer, id), ()):
            if answer.done():
                continue
            if isinstance(outcome, Failure):
                answer.set_exception(SendFailed(outcome.code, outcome.message, id))
            else:
                answer.set_result(outcome)

    def _fail_answers(self) -> None:
        for peer, id in list(self._answers):
            self._settle(peer, id, Failure("stopped", "The client ended before the answer. The message is kept."))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _failed(self, id: str) -> Message:
        self._check_started()
        found = next((message for message in self._core.failed.values() if message.id == id), None)
        if found is None:
            raise KeyError(id)
        return found

    def _ended(self) -> Ended:
        code, reason = self._state.code or self._state.name, self._state.reason or "The client is not running."
        error = (LoggedOut if self._state.name == "loggedOut" else Stopped)(code, reason)
        error.__cause__ = self._cause
        return error

    def _hear(self) -> None:
        """Tell the core who takes what comes."""
        self._core.shows_frames = any(listener.frames for listener in self._listeners)
        has_handler = self._handler is not None or self._taker is not None
        self._core.listened(has_handler, self._store.history or bool(self._listeners), self._now())
        self._run()

    def _set_timer(self) -> None:
        deadline = self._core.deadline() if self._is_started else None
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._core.tick(self._now())
        self._run()

    def _now(self) -> float:
        return time.monotonic()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._closing.discard)
        return task

    def _check_started(self) -> None:
        if not self._is_started:
            raise ClientError("The client has not been started.")


class _Taker:
    """A loop over ``messages()``, and what it has in hand."""

    def __init__(self) -> None:
        self.message: Message | None = None


class Events:
    """The events since ``client.events()``, for ``async for``. It ends when the client is stopped."""

    def __init__(self, client: Client, frames: bool) -> None:
        self.frames = frames
        self._client = client
        self._events: deque[Event] = deque()

    def put(self, event: Event) -> None:
        """One more."""
        if self.frames or not isinstance(event, FrameSeen):
            self._events.append(event)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._client._until(lambda: bool(self._events) or self._client.state.name == "off")
        if not self._events:
            raise StopAsyncIteration
        return self._events.popleft()
