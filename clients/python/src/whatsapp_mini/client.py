"""The interface of a client; ``docs/clients.md`` says how it behaves."""

import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self, TypeVar

from whatsapp_mini.api import Api
from whatsapp_mini.errors import ClientError, NotStarted, SendFailed
from whatsapp_mini.events import ConnectionState, Event, FrameSeen
from whatsapp_mini.http import Http
from whatsapp_mini.messages import Message, digits, is_number, well_formed
from whatsapp_mini.session_keeper import Clock, SessionKeeper
from whatsapp_mini.shell import GIVEN_UP, IN_HANDS, Handler, Shell, Taker
from whatsapp_mini.store import Discarded, MemoryStore, Read, Retried, Store

STOP_SECONDS: Final = 10.0
ONE_TAKER: Final = "Messages are handed to a handler or to one loop over messages(), and this client has one already."
H = TypeVar("H", bound=Handler)


class Client:
    """One person on one device.

    :param url: of the server, ``https://…``
    :param mobile_no: one's own number, in digits
    :param password: with it the client logs in by itself; not needed if the store has a session
    :param store: what must survive; by default nothing survives the process
    :param device_id: by default the stored session's, or ``primary``; two clients that run at once need two
    :param device_name: what people see in the list of their devices
    :param code: for :meth:`sign_up`, where the server sends codes
    :raises ValueError: the URL is none
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
    ) -> None:
        self._password, self._code = password, code
        http, store = Http(url), store or MemoryStore()
        clock, rng = Clock(time.monotonic, time.time), random.SystemRandom()
        keeper = SessionKeeper(http, store, clock, mobile_no, password, device_id, device_name, rng)
        self.api = Api(http, keeper)
        self._shell = Shell(http, store, keeper, self.api)

    # ---- beginning and end

    async def sign_up(self, name: str) -> None:
        """Create the account, with the number, the password and the code that the client was given.

        :raises ApiError: the server refused
        """
        try:
            await self.api.sign_up(name, self._shell.keeper.mobile_no, self._password, self._code)
        finally:
            if not self._shell.is_started:
                await self._shell.http.close()

    async def start(self, wait: bool = True) -> None:
        """Log in if need be, and connect. ``wait``: until it is online, however long that takes.

        :raises LoggedOut: number or password are wrong, or there is no session and no password
        :raises Stopped: the server does not want this client: ``too_many_devices``, with the devices in ``__cause__``
        :raises StoreMismatch: the store belongs to another account, server or device
        :raises StoreError: the store cannot be read
        """
        if self._shell.is_started:
            raise ClientError("The client runs already. It has one connection; stop() ends it.")
        self._shell.is_started = True
        try:
            await self._shell.start()
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
        """Start, and go on until somebody calls :meth:`stop`. For bots with a handler.

        :raises Ended: it stopped by itself; ``__cause__`` is what the handler raised
        """
        async with self:
            await self._shell.until(lambda: self.state.name in ("off", *GIVEN_UP))
            if self.state.name != "off":
                raise self._shell.ended()

    async def online(self) -> None:
        """Until the client is online.

        :raises Stopped: it does not try any more
        :raises LoggedOut: the session has ended
        :raises NotStarted: it is not running, or was stopped meanwhile
        """
        await self._shell.until(lambda: self.state.name in ("online", "off", *GIVEN_UP))
        if self.state.name == "off":
            raise NotStarted
        if self.state.name != "online":
            raise self._shell.ended()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Wait so long until what is on the way is answered and what was handed over is acknowledged, then end (C39).

        What waits in the store goes on waiting. The client may be started again. In a handler, or in a loop over
        messages, it does not wait: the client ends when the handler has returned, or the loop asks for the next one.

        A caller that is cancelled (by ``asyncio.timeout``, say) does not wait for answers any more, and leaves nothing
        behind either. A refresh of the session that is on its way is waited for, which may take ten seconds: new tokens
        that were not kept would be lost.
        """
        await self._shell.stop(seconds)

    def connect_now(self) -> None:
        """End a pause, or ``stopped``."""
        self._shell.check_started()
        self._shell.core.connect_now()
        self._shell.run()

    async def log_in(self, password: str, replace_device_id: str | None = None) -> None:
        """Begin another session, when the old one has ended or there are too many devices; and connect.

        :raises ApiError: not now
        :raises LoggedOut: the password is wrong
        """
        self._shell.check_started()
        await self.api.log_in(password, replace_device_id)
        self._shell.core.log_in()
        self._shell.run()

    @property
    def state(self) -> ConnectionState:
        """What the client is doing."""
        return self._shell.state

    @property
    def mobile_no(self) -> str:
        """One's own number, in digits."""
        return self._shell.core.mobile_no

    # ---- messages

    async def send(self, to: str, text: str, message_id: str | None = None) -> Message:
        """Keep a message, send it, and wait until the server has stored it. If the caller is cancelled, it still goes.

        :param to: a number
        :param message_id: for a program that may ask twice: the same message with the same id is sent once
        :raises SendFailed: it was refused for good; or the client ended before the answer (``stopped``): then it is
            kept, and goes out at the next start, if the store survives
        :raises StoreError: it could not be kept
        """
        message = await self._post(to, text, message_id)
        if message.error is not None:
            raise SendFailed(message.error.code, message.error.message, message.id)
        if message.state != "waiting":
            return message
        answer = self._shell.answer_of((message.peer, message.id))
        return replace(message, state="sent", timestamp=await answer)

    async def post(self, to: str, text: str, message_id: str | None = None) -> Message:
        """Keep a message, and send it when that is possible. What becomes of it is told by events.

        A message with this id that is kept already is given back as it is now, be it ``sent`` or ``failed``.

        :raises SendFailed: the server would refuse it in any case
        :raises StoreError: it could not be kept
        """
        return await self._post(to, text, message_id)

    async def _post(self, to: str, text: str, message_id: str | None) -> Message:
        shell = self._shell
        shell.check_started()
        wanted = shell.core.prepared(digits(to), text, message_id, round(time.time() * 1000))

        def then(kept: Message) -> Message:
            if kept.text != wanted.text:
                raise SendFailed("message_id_reused", "This messageId was used for another text.", wanted.id)
            if kept.state == "waiting" and not shell.core.outbox.waits((kept.peer, kept.id)):
                shell.core.posted(kept, shell.now())
                shell.run()
            return kept

        return await shell.worker.add(wanted, then)

    async def retry(self, id: str) -> Message:
        """Send a failed message again, behind all others.

        :raises KeyError: no message with this id has failed
        """
        shell, failed = self._shell, self._failed(id)
        change = Retried(failed.peer, failed.id, shell.core.new_id(failed))

        async def work() -> Message:
            news = await shell.store.apply([change])
            if not news or news[0].message is None:
                raise KeyError(f"The message with the id {id!r} was retried or discarded meanwhile.")
            shell.core.failed.pop((failed.peer, id), None)
            shell.core.posted(news[0].message, shell.now())
            shell.run()
            return news[0].message

        return await shell.worker.do(work)

    async def discard(self, id: str) -> None:
        """Forget a failed message.

        :raises KeyError: no message with this id has failed
        """
        shell, failed = self._shell, self._failed(id)

        async def work() -> None:
            await shell.store.apply([Discarded(failed.peer, id)])
            shell.core.failed.pop((failed.peer, id), None)

        await shell.worker.do(work)

    @property
    def failed(self) -> list[Message]:
        """Messages that failed, and were neither retried nor discarded; of the store's, once the client was started."""
        return list(self._shell.core.failed.values())

    def _failed(self, id: str) -> Message:
        self._shell.check_started()
        found = next((message for message in self.failed if message.id == id), None)
        if found is None:
            raise KeyError(f"No message with the id {id!r} has failed; `failed` lists those that have.")
        return found

    async def mark_read(self, peer: str, ids: Sequence[str]) -> None:
        """A person has seen these messages of ``peer`` (C34)."""
        shell, peer, some = self._shell, _number(peer), tuple(well_formed(id) for id in ids)
        shell.check_started()

        async def work() -> None:
            await shell.store.apply([Read(peer, some, "here")])
            shell.core.read(peer, some, shell.now())
            shell.run()

        if some:
            await shell.worker.do(work)

    def on_message(self, handler: H) -> H:
        """Hand each message to this function; for use as a decorator. It is acknowledged when it has returned.

        If it raises, the client stops, and the message comes again (C28).

        :raises ClientError: there is another handler, or a loop over :meth:`messages`
        """
        if self._shell.taker is not None or self._shell.handler is not None:
            raise ClientError(ONE_TAKER)
        self._shell.handler = handler
        self._shell.hear()
        return handler

    async def messages(self) -> AsyncGenerator[Message]:
        """The messages of others, each acknowledged when the next one is asked for. It ends when the client is stopped.

        It may be begun before the client is started. A message with which a loop was left is handed over again.

        :raises ClientError: there is a handler, or another such loop
        :raises Ended: the client stopped by itself
        """
        shell = self._shell
        if shell.handler is not None or shell.taker is not None:
            raise ClientError(ONE_TAKER)
        taker, times_stopped = Taker(), shell.times_stopped
        shell.taker = taker
        try:
            shell.hear()
            while True:
                await shell.until(
                    lambda: (
                        taker.message is not None
                        or shell.times_stopped != times_stopped
                        or shell.state.name in GIVEN_UP
                    )
                )
                if shell.times_stopped != times_stopped:
                    return
                if taker.message is None:
                    raise shell.ended()
                IN_HANDS.set(taker)  # in the context of the one who asks: a generator has none of its own
                core = shell.core
                yield taker.message
                taker.message = None
                shell.handled(core)
        finally:
            if shell.taker is taker:
                shell.taker = None
                if taker.message is not None:
                    shell.core.given_back(shell.now())
                shell.hear()

    def events(self, frames: bool = False) -> "Events":
        """What happens from now on, until the client is stopped. ``frames``: also each frame, for looking on.

        It may be called before the client is started: then nothing is missed. While it exists, messages are
        acknowledged and told here, if there is no handler. What it was told it keeps until it is asked.
        """
        listener = Events(self._shell, frames)
        self._shell.listeners.add(listener)
        self._shell.hear()
        return listener

    # ---- presence and typing

    def typing(self, to: str, active: bool = True) -> None:
        """May be called at each key (C37). While the client is not online it does nothing.

        :raises ValueError: ``to`` is no number
        """
        self._shell.core.typing(_number(to), active, self._shell.now())
        self._shell.run()

    def watch(self, numbers: Sequence[str]) -> None:
        """Tell by events whether these are online, from now on and after each reconnect (C36), or from the start on.

        :raises ValueError: one of them is no number
        """
        self._shell.core.watch([_number(number) for number in numbers])
        self._shell.run()

    def unwatch(self, numbers: Sequence[str]) -> None:
        """No longer.

        :raises ValueError: one of them is no number
        """
        self._shell.core.unwatch([_number(number) for number in numbers])
        self._shell.run()


class Events:
    """The events since ``client.events()``, for ``async for``. It ends when the client is stopped."""

    def __init__(self, shell: Shell, frames: bool) -> None:
        self.frames = frames
        self._shell = shell
        self._events: deque[Event] = deque()
        self._is_over = False

    def put(self, event: Event) -> None:
        """One more."""
        if self.frames or not isinstance(event, FrameSeen):
            self._events.append(event)

    def end(self) -> None:
        """The client was stopped, or could not be started."""
        self._is_over = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._shell.until(lambda: bool(self._events) or self._is_over)
        if not self._events:
            raise StopAsyncIteration
        return self._events.popleft()


def _number(written: str) -> str:
    number = digits(written)
    if not is_number(number):
        raise ValueError("A mobile number is 10 to 15 digits, with its country code.")
    return number
