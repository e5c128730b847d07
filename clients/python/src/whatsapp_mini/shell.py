"""Does what the core decides: the socket, the timers, the store's worker, the handler, and who waits for what."""

import asyncio
import contextlib
import logging
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, Protocol

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
from whatsapp_mini.errors import ApiError, Ended, LoggedOut, NotStarted, SendFailed, Stopped
from whatsapp_mini.events import ConnectionState, Event, StateChanged
from whatsapp_mini.http import Http
from whatsapp_mini.messages import Failure, Message, digits
from whatsapp_mini.session_keeper import SessionKeeper
from whatsapp_mini.socket import Socket, open_socket
from whatsapp_mini.store import News, Store
from whatsapp_mini.store_worker import StoreWorker

log = logging.getLogger("whatsapp_mini")
Handler = Callable[[Message], Awaitable[object]]
NO_SESSION_SECONDS: Final = 5.0
SHORTEST_SECONDS: Final = 0.5
NUMBER_CHANGED: Final = 4005
IN_HANDS: Final[ContextVar[object | None]] = ContextVar("IN_HANDS", default=None)
"""The loop, or the call of a handler, that the running code belongs to."""
ITERATIONS_TO_LEAVE: Final = 3
"""So many turns of the event loop it takes until a loop that was left with ``break`` lets go of its message."""
LATE_SECONDS: Final = 0.5
READING_SECONDS: Final = 0.1
"""A timer that is so late was held up by the program: what came meanwhile is read first, for which this is enough."""
GIVEN_UP: Final = ("stopped", "loggedOut")
STOPPED: Final = Failure("stopped", "The client ended before the answer. The message is kept.")


class Listener(Protocol):
    """Somebody who looks on. ``frames``: also at each frame."""

    frames: bool

    def put(self, event: Event) -> None:
        """One more event."""

    def end(self) -> None:
        """There will be no more."""


class Taker:
    """A loop that takes one message after the other, and what it has in hand."""

    def __init__(self) -> None:
        self.message: Message | None = None


class Shell:
    """One client's core and all that it needs. Each method that gives it something calls :meth:`run` at the end."""

    def __init__(self, http: Http, store: Store, keeper: SessionKeeper, api: Api) -> None:
        self.http, self.store, self.keeper, self.api = http, store, keeper, api
        self._rng = random.SystemRandom()
        self.core = Core(digits(keeper.mobile_no), self._rng)
        self.worker = StoreWorker(store, self)
        self.state = ConnectionState("off")
        self.is_started = False
        self.times_stopped = 0
        self._stopping: asyncio.Task[None] | None = None
        self._is_hurried = False
        self.handler: Handler | None = None
        self.taker: Taker | None = None
        self.listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._is_pausing = False
        """Whether it has not been online since a pause."""
        self._cause: BaseException | None = None
        self._socket: Socket | None = None
        self._socket_task: asyncio.Task[None] | None = None
        self._in_handler: object | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        """Those of the tasks that close a socket properly."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._has_read = False
        """Whether a late timer has let what came be read."""
        self._answers: dict[Place, list[asyncio.Future[int]]] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        keeper.on_logged_out = self._session_ended
        keeper.on_new_session = self._session_replaced

    # ---- beginning and end

    async def start(self) -> None:
        """Begin to connect, with what the store has.

        :raises StoreMismatch: it is another account's
        """
        self._cause = None
        kept = await self.store.load()
        self.keeper.load(kept.session)
        self.core = Core(digits(self.keeper.mobile_no), self._rng, self.core.watching.numbers)
        self.core.load(kept)
        self.worker.start()
        self.spawn(self._refresh_in_time())
        self.hear()
        self.core.connect_now()
        self.run()

    @property
    def is_in_hands(self) -> bool:
        """Whether the caller is who has a message in hand: a handler, or a loop. Who waits for it waits for itself."""
        in_loop = self.taker is not None and self.taker.message is not None
        held = self.taker if in_loop else self._in_handler
        return held is not None and IN_HANDS.get() is held

    async def stop(self, seconds: float) -> None:
        """End what is on the way, but no longer than this; then everything (C39). Files and connections are closed.

        A caller that is cancelled does not wait for answers any more, but nothing is left behind all the same.
        """
        if self._stopping is None:
            self._is_hurried = False
            self._stopping = asyncio.create_task(self._stop(seconds))
        for _ in range(ITERATIONS_TO_LEAVE):
            if self.is_in_hands:
                await asyncio.sleep(0)
        if self.is_in_hands:
            return  # the stop waits for this caller
        stopping = self._stopping
        if stopping is None:
            return
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            self._is_hurried = True
            self.run()
            await asyncio.wait([stopping])
            raise

    async def _stop(self, seconds: float) -> None:
        try:
            if self.is_started:
                await self._end(seconds)
            await self.http.close()
            await self.store.close()
        finally:
            self.is_started, self._stopping = False, None
            self.times_stopped += 1
            self.taker = None  # a loop that is at work still ends when it asks for the next one
            for listener in list(self.listeners):
                listener.end()
            self.listeners.clear()
            self.run()

    async def _end(self, seconds: float) -> None:
        self.core.stop_begins()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(lambda: self._is_hurried or self.core.is_quiet())
        self.core.off(self.now())
        self.run()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._closing)  # what was written last is to arrive
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.worker.finish()
        await self.keeper.settle()

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    # ---- what others wait for

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait; whatever changes is followed by :meth:`run`."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def ended(self) -> Ended:
        """Why the client does not go on, as an error."""
        kind = LoggedOut if self.state.name == "loggedOut" else Stopped
        error = kind(self.state.code or self.state.name, self.state.reason or "The client is not running.")
        error.__cause__ = self._cause
        return error

    def answer_of(self, place: Place) -> asyncio.Future[int]:
        """Will be the server's timestamp, or raise :class:`SendFailed`."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers.setdefault(place, []).append(answer)
        if self.state.name in ("off", *GIVEN_UP):
            self._settle(*place, STOPPED)
        return answer

    def hear(self) -> None:
        """Tell the core who takes what comes."""
        self.core.shows_frames = any(listener.frames for listener in self.listeners)
        has_handler = self.handler is not None or self.taker is not None
        self.core.listened(has_handler, self._is_heard, self.now())
        self.run()

    @property
    def _is_heard(self) -> bool:
        return self.store.history or bool(self.listeners)

    # ---- effects

    def run(self) -> None:
        """Do what the core asks for, wake those who wait for a change, and set the timer."""
        while effects := self.core.take():
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
                self.worker.put(effect)
            case Emit(event):
                self._tell(event)
            case Settle(peer, id, outcome):
                self._settle(peer, id, outcome)
            case HandOver(message):
                self._hand_over(message)
            case OpenSocket(round, refresh):
                self._socket_task = self.spawn(self._connect(round, refresh))
            case EndSocket(code):
                self._end_socket(code)
            case ForgetSession():
                self.keeper.drop()
                self.spawn(self.keeper.forget())

    def _tell(self, event: Event) -> None:
        if isinstance(event, StateChanged):
            event = StateChanged(self._with_wall_time(event.state))
            self._turned(event.state)
        for listener in list(self.listeners):
            listener.put(event)

    def _turned(self, state: ConnectionState) -> None:
        self.state = state
        # Of several pauses in a row one is a warning: a program that logs nothing else says why nothing happens.
        is_first_pause = state.name == "pausing" and not self._is_pausing
        level = logging.WARNING if is_first_pause or state.name in GIVEN_UP else logging.INFO
        more = "The client tries again until it works." if state.name == "pausing" else ""
        log.log(level, "%s", " ".join(filter(None, (f"The connection is {state.name}.", state.reason, more))))
        self._is_pausing = state.name == "pausing" or (self._is_pausing and state.name == "connecting")
        if state.name == "online":
            self.keeper.is_good()
        elif state.name in ("off", *GIVEN_UP):
            for peer, id in list(self._answers):
                self._settle(peer, id, STOPPED)

    def _with_wall_time(self, state: ConnectionState) -> ConnectionState:
        return state if state.until is None else replace(state, until=time.time() + state.until - self.now())

    def _settle(self, peer: str, id: str, outcome: int | Failure) -> None:
        for answer in self._answers.pop((peer, id), ()):
            if answer.done():
                continue
            if isinstance(outcome, Failure):
                answer.set_exception(SendFailed(outcome.code, outcome.message, id))
            else:
                answer.set_result(outcome)

    def _hand_over(self, message: Message) -> None:
        if self.taker is not None:
            self.taker.message = message
        elif self.handler is not None:
            self.spawn(self._handle(self.handler, message))

    async def _handle(self, handler: Handler, message: Message) -> None:
        self._in_handler = object()
        IN_HANDS.set(self._in_handler)
        core, task = self.core, asyncio.current_task()
        try:
            await handler(message)
        except asyncio.CancelledError as error:
            if task is None or task.cancelling():  # this client is being stopped
                raise
            self._broke("handler_failed", "The handler waited for something that was cancelled", error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message is not acknowledged (C28)
            self._broke("handler_failed", "The handler failed", error)
        else:
            self.handled(core)
        finally:
            self._in_handler = None

    def handled(self, core: Core) -> None:
        """What this core handed over is done. After another start it is nothing to the new one."""
        if core is self.core:
            core.handled(self.now())
            self.run()

    def _broke(self, code: str, what: str, error: BaseException) -> None:
        """Its sentence may hold a text, so a log gets its type alone; the program finds it in ``__cause__``."""
        self._cause = error
        self.core.stopped(code, f"{what} ({type(error).__name__}).", self.now())
        self.run()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it beside the rest, until it ends or the client does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._is_done)
        return task

    def _is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._closing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broke("client_failed", "The client failed", error)

    def _set_timer(self) -> None:
        deadline = self.core.deadline() if self.is_started else None
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(deadline - self.now(), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.now() > self._timer_at + LATE_SECONDS and not self._has_read:
            self._has_read = True
            self._timer = asyncio.get_running_loop().call_later(READING_SECONDS, self._tick)
            return
        self._has_read = False
        self.core.tick(self.now())
        self.run()

    # ---- the store's worker

    def kept(self, numbers: Sequence[int], news: Sequence[News]) -> None:
        """These changes are durable."""
        self.core.kept(numbers, news, self.now())
        self.run()

    def unknown(self, number: int, chats: Sequence[Message]) -> None:
        """These chats are not known."""
        self.core.unknown(number, chats, self.now())
        self.run()

    def store_failed(self, error: Exception) -> None:
        """It cannot be used: nothing more is acknowledged."""
        if self.state.name == "off":  # no state tells of it any more
            log.error("The store failed (%s) while the client was being stopped.", type(error).__name__)
        self._cause = error
        self.core.store_failed(f"The store failed ({type(error).__name__}).", self.now())
        self.run()

    # ---- the socket

    async def _connect(self, round: int, refresh: bool) -> None:
        try:
            if refresh and self.keeper.session is not None:
                await self.keeper.renewed(self.keeper.session.token)
            ticket = await self.api.ticket()
            generation = self.keeper.generation
            self.core.opening(round, self.now())
            self.run()
            socket = await open_socket(self.http, ticket)
        except LoggedOut:
            return  # the keeper has told it
        except ApiError as error:
            self._cause = error
            self.core.refused(round, error, self.now())
            self.run()
            return
        if round == self.core.connection.round:
            self._socket, self._cause = socket, None
            await self._read(socket, round, generation)
        else:
            socket.abort()

    async def _read(self, socket: Socket, round: int, generation: int) -> None:
        async with contextlib.aclosing(socket.messages()) as messages:
            async for data in messages:
                if self._is_heard != self.core.inbox.is_heard:
                    self.hear()  # a listener says nothing when it goes
                self.core.received(round, data, self.now())
                self.run()
        # Of an older session 4509 says nothing about the one that took its place.
        is_older = socket.code == LOGGED_OUT and generation != self.keeper.generation
        self.core.closed(round, NUMBER_CHANGED if is_older else socket.code, socket.reason, self.now())
        self.run()

    def _end_socket(self, code: int | None) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            if self._socket_task is not None and self._socket_task is not asyncio.current_task():
                self._socket_task.cancel()
        elif code is None:
            socket.abort()
        else:
            self._closing.add(self.spawn(socket.close(code)))

    # ---- the session

    async def _refresh_in_time(self) -> None:
        """Refresh before the token ends (C2)."""
        while True:
            seconds = self.keeper.refresh_in()
            await asyncio.sleep(NO_SESSION_SECONDS if seconds is None else max(seconds, SHORTEST_SECONDS))
            if self.keeper.refresh_in() == 0:
                with contextlib.suppress(ApiError, LoggedOut):  # later by itself (C6); the keeper has told the other
                    await self.keeper.token()

    def _session_ended(self, error: LoggedOut) -> None:
        if self.is_started and self.core.connection.is_trying:
            self.core.logged_out(error.code, error.reason, self.now())
            self.run()

    def _session_replaced(self) -> None:
        if self.core.connection.is_online:
            self.core.reconnect(self.now())
            self.run()

    def check_started(self) -> None:
        """:raises NotStarted: it is not running"""
        if not self.is_started:
            raise NotStarted
