"""A client with one device and one socket at a time, which keeps to docs/PROTOCOL.md whatever breaks."""

import asyncio
import base64
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tools.chaos.client_state import Behaviour, ClientState
from tools.chaos.connection import ConnectFailed, Connection, open_connection
from tools.chaos.frames import Frame, ServerFrame
from tools.chaos.outbox import Outbox
from tools.chaos.shared import HttpResponse, Shared

PASSWORD: Final = "correct horse"
ANSWER_SECONDS: Final = 6.0
"""A send may stay unanswered for so long: the servers promise to refuse within."""
ANSWER_SECONDS_IN_BULK: Final = 30.0
"""The same for a client that writes more at once than a server takes in hand: most of it waits to be read."""
LONGEST_PAUSE: Final = 1.5
LOGGED_OUT: Final = (4501, 4509)
REUSE_SECONDS: Final = 11.0
"""After so many seconds a refresh token that was replaced counts as stolen: it works on for 10 s."""
LINGER: Final = 35.0
"""For so many seconds a logged out client waits until the server closes its socket."""


class Client:
    """Logs in, connects to one of the servers, and connects again whenever the socket ends."""

    def __init__(self, mobile: str, shared: Shared, behaviour: Behaviour, rng: random.Random) -> None:
        self.state = ClientState(mobile, shared, behaviour, rng)
        self.token = self.refresh_token = ""
        self.connected_at = 0.0
        self._shared, self._behaviour, self._rng = shared, behaviour, rng
        self._connection: Connection | None = None
        self._tries = 0
        self._by_client = False
        self._cut = False
        self._away_until = 0.0
        self._logged_out_at = 0.0

    # ---- what the workload asks of it

    @property
    def mobile(self) -> str:
        """Its mobile number."""
        return self.state.mobile

    @property
    def device(self) -> str:
        """Its deviceId."""
        return self._behaviour.device

    @property
    def outbox(self) -> Outbox:
        """Its chats without a final answer."""
        return self.state.outbox

    @property
    def sends_before_hello(self) -> bool:
        """Whether it sends before the server's first frame."""
        return self._behaviour.sends_before_hello

    @property
    def connected(self) -> bool:
        """Whether it has a socket that it may go on with."""
        return self._connection is not None and not self._logged_out_at

    def write(self, peer: str, text: str) -> None:
        """Send one more chat."""
        self.state.write(peer, text)
        if self._connection is not None:
            self._connection.wake()

    def tick(self, now: float) -> None:
        """To be called a few times a second: write what is due, and leave a socket that does not answer."""
        if self._connection is None:
            return
        overdue = self.outbox.overdue(now - (ANSWER_SECONDS_IN_BULK if self.sends_before_hello else ANSWER_SECONDS))
        for chat in overdue:
            fields = {"peer": chat.peer, "message_id": chat.message_id}
            self.state.record("unanswered", **fields, seconds=round(now - chat.begun, 3))
        if overdue or 0 < self._logged_out_at < now - LINGER:
            self._connection.abort()
        self._connection.wake()

    def vanish(self, seconds: float = 0.0) -> None:
        """Leave the socket without a close frame, and stay away for so long."""
        if self._connection is not None:
            self._leave(seconds)
            self._away_until = time.monotonic() + seconds
            self._connection.abort()

    def cut(self) -> None:
        """End the socket just after the next chat was written: the client cannot know whether it arrived."""
        self._cut = self._connection is not None

    def switch(self) -> None:
        """Open another socket while the server still has this one."""
        if self._connection is not None:
            self._leave(0.0)
            self._connection.abandon(self._rng.uniform(0, 1))

    def lose_signal(self, seconds: float) -> None:
        """Stay away for so long while TCP stands, and close the socket only then.

        Only unanswered pings tell the server that the client is gone.
        """
        if self._connection is not None:
            self._leave(seconds)
            self._away_until = time.monotonic() + seconds
            self._connection.abandon(seconds)

    def _leave(self, seconds: float) -> None:
        self.state.record("away", seconds=round(seconds, 3))
        self.state.left()
        self._by_client = True

    def come_back(self) -> None:
        """End the absence, if there is one."""
        self._away_until = 0.0

    async def log_out(self) -> None:
        """Log out, and let the server close the socket."""
        await self._end_session(self.token, "POST", "/auth/logout")

    async def log_out_from(self, other: "Client") -> None:
        """Another client of the person ends the session of this one."""
        await self._end_session(other.token, "DELETE", f"/v1/sessions/{_session_id(self.token)}")

    async def _end_session(self, token: str, method: str, path: str) -> None:
        session = self.state.session
        response = await self._request("logout", method, path, token)
        if response.status == 200:
            self._has_ended(session)

    def _has_ended(self, session: int) -> None:
        if session == self.state.session:
            self._logged_out_at = time.monotonic()
            self.refresh_token = ""

    async def refresh(self) -> None:
        """Get new tokens for the same session. If there is no answer, the old refresh token is kept for a retry."""
        session, body = self.state.session, {"refreshToken": self.refresh_token}
        response = await self._request("refresh", "POST", "/auth/refresh", "", json=body)
        if response.status == 200 and session == self.state.session and not self._logged_out_at:
            self.token, self.refresh_token = str(response.body["token"]), str(response.body["refreshToken"])

    async def reuse(self, wait: Callable[[float], Awaitable[None]]) -> None:
        """Somebody has a refresh token that was replaced long ago: the session must end.

        :param wait: for so many seconds, or less if the scenario is about to end
        """
        stolen, session, began = self.refresh_token, self.state.session, time.monotonic()
        await self.refresh()
        if self.refresh_token == stolen or not stolen:
            return
        await wait(REUSE_SECONDS)
        if session != self.state.session or self._logged_out_at or time.monotonic() - began < REUSE_SECONDS:
            return
        response = await self._request("reuse", "POST", "/auth/refresh", "", json={"refreshToken": stolen})
        if response.body.get("code") == "refresh_reused":
            self._has_ended(session)

    async def _request(self, what: str, method: str, path: str, token: str, **options: Any) -> HttpResponse:
        """One that is about this client's session, and goes into the history."""
        http, record = self._shared.http, self._shared.history.record
        fields = {"mobile": self.mobile, "session": self.state.session, "request": next(http.numbers)}
        record(f"{what} request", **fields)
        response = await http.request(method, path, token, **options)
        result = str(response.body.get("code", ""))
        record(f"{what} response", **fields, status=response.status, result=result, seconds=round(response.seconds, 3))
        return response

    def _outgoing(self) -> list[Frame]:
        frames = self.state.outgoing()
        if self._cut and self._connection is not None and any(frame["type"] == "chat" for frame in frames):
            self._cut, self._by_client = False, True
            asyncio.get_running_loop().call_later(self._rng.uniform(0, 0.003), self._connection.abort)
        return frames

    # ---- accounts, sessions, sockets

    async def sign_up(self) -> None:
        """Create an account. If the number has one already, take another number."""
        while True:
            form = {"name": "Somebody", "mobileNo": self.mobile, "password": PASSWORD}
            status = (await self._shared.http.request("POST", "/auth/signin", json=form)).status
            if status == 200:
                return
            if status == 409:
                self.state.mobile = self._shared.new_mobile()
            await self._pause()

    async def run_forever(self) -> None:
        """Log in, connect, and again, until cancelled."""
        while True:
            if not self.token:
                await self.log_in()
            try:
                await self._connect()
                self._tries = 0
            except ConnectFailed as failed:
                if failed.status in (401, *LOGGED_OUT):
                    self.token = ""
            if self._by_client and not self._away_until:
                self._tries = 0
            await self._pause()
            while time.monotonic() < self._away_until:
                await asyncio.sleep(0.1)

    async def log_in(self) -> None:
        """Log in, and try again until it works."""
        form = {"mobileNo": self.mobile, "password": PASSWORD, "deviceId": self.device}
        while (response := await self._shared.http.request("POST", "/auth/login", json=form)).status != 200:
            await self._pause()
        self.token, self.refresh_token = str(response.body["token"]), str(response.body["refreshToken"])
        self._logged_out_at, self._tries = 0.0, 0
        self.state.logged_in()

    async def _pause(self) -> None:
        self._tries += 1
        await asyncio.sleep(self._rng.uniform(0.02, min(LONGEST_PAUSE, 0.1 * 2**self._tries)))

    async def _connect(self) -> None:
        """Open one socket and use it until it ends.

        :raises ConnectFailed: it was not opened
        """
        state, address = self.state, self._rng.choice(self._shared.addresses)
        state.connection, self._by_client = next(self._shared.connections), False
        here = {"dialect": self._behaviour.dialect, "device": self._behaviour.device, "address": address}
        state.record("connecting", session=state.session, **here)
        code, reason = 0, ""
        try:
            connection = await open_connection(address, self.token, self._behaviour.dialect, self._outgoing)
            if self.sends_before_hello:
                connection.begin_writing()
            self._begin(connection, await connection.first_frames())
            code, reason = await connection.run(self._handle)
        except ConnectFailed as failed:
            code, reason = failed.status, failed.reason
            raise
        finally:
            self._connection = None
            state.interrupted()
            state.record("disconnected", code=code, reason=reason, by_client=self._by_client)
        if code in LOGGED_OUT or self._logged_out_at:
            self.token = ""
        elif code >= 4500:
            await asyncio.sleep(1)  # as if the user chose to connect again

    def _begin(self, connection: Connection, first: Sequence[ServerFrame]) -> None:
        self.state.connected(first[0].epoch)
        self._connection, self.connected_at = connection, time.monotonic()
        self._handle(first[1:])

    def _handle(self, frames: Sequence[ServerFrame]) -> None:
        self.state.handle(frames)
        if self._connection is not None:
            self._connection.wake()


def _session_id(token: str) -> str:
    """The session that a token is bound to."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])
