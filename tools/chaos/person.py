"""Somebody who chats through everything that breaks, by the rules of docs/PROTOCOL.md; one device, one socket."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from tools.chaos.conversation import Conversation, Manners
from tools.chaos.crowd import Crowd
from tools.chaos.frames import Frame, ServerFrame
from tools.chaos.line import Line, NoLine, open_line
from tools.chaos.outbox import Outbox

PASSWORD: Final = "correct horse"
PATIENCE: Final = 6.0
"""Seconds a send may stay unanswered: the servers promise to refuse within."""
HASTY_PATIENCE: Final = 30.0
"""The same for a client that writes more at once than a server takes in hand: most of it waits to be read."""
LONGEST_PAUSE: Final = 1.5
LOGGED_OUT: Final = (4501, 4509)
LINGER: Final = 35.0
"""Seconds a logged out client waits for the server to close its socket before it gives that up."""


class Person:
    """Logs in, connects to one of the servers, and again, for ever; what is said meanwhile is his conversation's."""

    def __init__(self, mobile: str, crowd: Crowd, manners: Manners, rng: random.Random) -> None:
        self.conversation = Conversation(mobile, crowd, manners, rng)
        self.token = ""
        self.connected_at = 0.0
        self._crowd, self._manners, self._rng = crowd, manners, rng
        self._line: Line | None = None
        self._tries = 0
        self._own = False
        self._cut = False
        self._away_until = 0.0
        self._logged_out_at = 0.0

    # ---- what the population asks of him

    @property
    def mobile(self) -> str:
        """His number."""
        return self.conversation.mobile

    @property
    def outbox(self) -> Outbox:
        """What he has to say."""
        return self.conversation.outbox

    @property
    def hasty(self) -> bool:
        """Whether they send without waiting for the first frame."""
        return self._manners.hasty

    @property
    def connected(self) -> bool:
        """Whether he has a socket, and may go on with it."""
        return self._line is not None and not self._logged_out_at

    def say(self, peer: str, text: str) -> None:
        """One more chat."""
        self.conversation.write(peer, text)
        if self._line is not None:
            self._line.wake()

    def tick(self, now: float) -> None:
        """A few times a second: what is due, and what has taken too long."""
        if self._line is None:
            return
        overdue = self.outbox.overdue(now - (HASTY_PATIENCE if self.hasty else PATIENCE))
        for letter in overdue:
            told = {"peer": letter.peer, "message_id": letter.message_id}
            self.conversation.record("unanswered", **told, seconds=round(now - letter.begun, 3))
        if overdue or 0 < self._logged_out_at < now - LINGER:
            self._line.abort()
        self._line.wake()

    def vanish(self, seconds: float = 0.0) -> None:
        """Leave the socket without a goodbye, and stay away for so long."""
        if self._line is not None:
            self.conversation.record("away", seconds=round(seconds, 3))
            self.conversation.left()
            self._own = True
            self._away_until = time.monotonic() + seconds
            self._line.abort()

    def cut(self) -> None:
        """With the next chat the socket ends: whether it got through, nobody knows."""
        self._cut = self._line is not None

    def switch(self) -> None:
        """Open another socket while the server still has this one."""
        if self._line is not None:
            self.conversation.record("away", seconds=0.0)
            self.conversation.left()
            self._own = True
            self._line.abandon(self._rng.uniform(0, 1))

    def lose_signal(self, seconds: float) -> None:
        """Stay away for so long without the server being told: TCP stands, nobody is at its end, and it is closed late.

        Nothing but the missing answers to its pings tells the server that he is gone.
        """
        if self._line is not None:
            self.conversation.record("away", seconds=round(seconds, 3))
            self.conversation.left()
            self._own = True
            self._away_until = time.monotonic() + seconds
            self._line.abandon(seconds)

    def come_back(self) -> None:
        """If he is away."""
        self._away_until = 0.0

    async def log_out(self) -> None:
        """And let the server end the socket."""
        session, told = (
            self.conversation.session,
            {"mobile": self.mobile, "request": next(self._crowd.web.request_numbers)},
        )
        self._crowd.history.record("logout request", **told, session=session)
        reply = await self._crowd.web.request("POST", "/auth/logout", self.token)
        answer = {"status": reply.status, "seconds": round(reply.seconds, 3)}
        self._crowd.history.record("logout response", **told, session=session, **answer)
        if reply.status == 200 and session == self.conversation.session:
            self._logged_out_at = time.monotonic()

    def _outgoing(self) -> list[Frame]:
        frames = self.conversation.outgoing()
        if self._cut and self._line is not None and any(frame["type"] == "chat" for frame in frames):
            self._cut, self._own = False, True
            asyncio.get_running_loop().call_later(self._rng.uniform(0, 0.003), self._line.abort)
        return frames

    # ---- his life

    async def sign_up(self) -> None:
        """Get an account; somebody may have the number already."""
        while True:
            form = {"name": "Somebody", "mobileNo": self.mobile, "password": PASSWORD}
            status = (await self._crowd.web.request("POST", "/auth/signin", json=form)).status
            if status == 200:
                return
            if status == 409:
                self.conversation.mobile = self._crowd.number()
            await self._pause()

    async def live(self) -> None:
        """Log in, be connected, and again, until cancelled."""
        while True:
            if not self.token:
                await self.log_in()
            try:
                await self._connect()
                self._tries = 0
            except NoLine as none:
                if none.status in (401, *LOGGED_OUT):
                    self.token = ""
            if self._own and not self._away_until:
                self._tries = 0
            await self._pause()
            while time.monotonic() < self._away_until:
                await asyncio.sleep(0.1)

    async def log_in(self) -> None:
        """Until it works."""
        form = {"mobileNo": self.mobile, "password": PASSWORD}
        while (reply := await self._crowd.web.request("POST", "/auth/login", json=form)).status != 200:
            await self._pause()
        self.token, self.conversation.session = str(reply.body["token"]), next(self._crowd.sessions)
        self._logged_out_at, self._tries = 0.0, 0
        self._crowd.history.record("login", mobile=self.mobile, session=self.conversation.session)

    async def _pause(self) -> None:
        self._tries += 1
        await asyncio.sleep(self._rng.uniform(0.02, min(LONGEST_PAUSE, 0.1 * 2**self._tries)))

    async def _connect(self) -> None:
        """One socket, from its opening to its end.

        :raises NoLine: it did not come about
        """
        mine, address = self.conversation, self._rng.choice(self._crowd.addresses)
        mine.connection, self._own = next(self._crowd.connections), False
        mine.record("connecting", session=mine.session, dialect=self._manners.dialect, address=address)
        code, reason = 0, ""
        try:
            line = await open_line(address, self.token, self._manners.dialect, self._outgoing)
            if self.hasty:
                line.begin_writing()
            self._begin(line, await line.welcome())
            code, reason = await line.run(self._hear)
        except NoLine as none:
            code, reason = none.status, none.reason
            raise
        finally:
            self._line = None
            mine.interrupted()
            mine.record("disconnected", code=code, reason=reason, by_client=self._own)
        if code in LOGGED_OUT or self._logged_out_at:
            self.token = ""
        elif code >= 4500:
            await asyncio.sleep(1)  # the person decided to go on

    def _begin(self, line: Line, first: Sequence[ServerFrame]) -> None:
        self.conversation.connected(first[0].epoch)
        self._line, self.connected_at = line, time.monotonic()
        self._hear(first[1:])

    def _hear(self, frames: Sequence[ServerFrame]) -> None:
        self.conversation.hear(frames)
        if self._line is not None:
            self._line.wake()
