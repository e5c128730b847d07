"""People who use the clients of this repository: agents of the conformance run, which tell what they send and get.

Frames are stamped where they come and go, with the monotonic clock of this machine, so that an effect does not stand
before its cause in the history although several processes tell of them.
"""

import asyncio
import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tools.chaos.client import PASSWORD
from tools.chaos.frames import V1
from tools.chaos.history import digest
from tools.chaos.shared import Shared
from tools.conformance.agents import Agent, AgentError, Event, answer_of
from tools.conformance.running import known_clients

PEOPLE: Final = 4
"""So many use each client; they share a process."""
DEVICE: Final = "real"
READ_SHARE: Final = 0.2
LONGEST_ABSENCE: Final = 4.0
START_SECONDS: Final = 60.0
AWAY_SECONDS: Final = 20.0
"""So long a program may be gone that was ended: until it is started again, and a busy machine has started it."""
OFTEN: Final = {"restart": 0.1, "kill": 0.04}
"""How often a second one of all these people ends the program and starts it again, and one process is killed."""


class RealClient:
    """One person with one client, whose store is a file."""

    def __init__(self, name: str, shared: Shared, url: str, store: Path, rng: random.Random) -> None:
        self.name, self.mobile = name, shared.new_mobile()
        self.pending: set[tuple[str, str]] = set()
        """What was posted and has no final answer, as (peer, messageId)."""
        self.awaiting: set[tuple[str, str]] = set()
        """What got ``sent`` and no receipt."""
        self.agent: Agent | None = None
        self.connected = False
        self._shared, self._url, self._store, self._rng = shared, url, store, rng
        self._connection = self._session = 0
        self._is_open = False
        self._attempts: dict[tuple[str, str], int] = {}
        self._receipted: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str, str]] = set()
        self._written = itertools.count(1)
        self._epoch = ""

    # ---- what the workload asks of it

    async def sign_up(self) -> None:
        """Create an account. If the number has one already, take another number."""
        while True:
            form = {"name": "Somebody", "mobileNo": self.mobile, "password": PASSWORD}
            status = (await self._shared.http.request("POST", "/auth/signin", json=form)).status
            if status == 200:
                return
            if status == 409:
                self.mobile = self._shared.new_mobile()
            await asyncio.sleep(0.2)

    async def begin(self, agent: Agent) -> None:
        """Build the client in this process, on the store that it had before, and start it."""
        self.agent = agent
        given = {"url": self._url, "mobileNo": self.mobile, "password": PASSWORD, "deviceId": DEVICE}
        store = {"kind": "file", "path": str(self._store / self.mobile)}
        await self._do("open", **given, store=store, handler="ok")
        if not self._session:
            self._session = next(self._shared.sessions)
            self._record(time.monotonic(), "login", session=self._session)
        await self._do("start")

    def write(self, peer: str, text: str) -> None:
        """Post a message."""
        message_id = f"{self.mobile[-4:]}r-{next(self._written)}"
        if self.agent is not None:
            self.pending.add((peer, message_id))
            fields = {"peer": peer, "message_id": message_id, "digest": digest(text)}
            self._record(time.monotonic(), "posted", **fields)
            self._shared.counts["begun"] += 1
            waiting = self.agent.begin_to("post", client=self.name, to=peer, text=text, messageId=message_id)
            waiting.add_done_callback(lambda done: self._posted(done, (peer, message_id)))

    def _posted(self, done: "asyncio.Future[Any]", place: tuple[str, str]) -> None:
        if done.cancelled() or done.exception() is None:
            return
        # The process was killed before it answered, or the client was being stopped: nothing was promised.
        self.pending.discard(place)
        self._record(time.monotonic(), "post refused", peer=place[0], message_id=place[1])

    async def stop(self) -> None:
        """End the program properly."""
        agent, self.agent = self.agent, None
        if agent is not None:
            self._record(time.monotonic(), "away", seconds=AWAY_SECONDS)
            await answer_of(agent.begin_to("stop", client=self.name, seconds=0), "stop", START_SECONDS)
            self._disconnected(time.monotonic(), 1000, by_client=True)

    def killed(self) -> None:
        """The process is gone."""
        self.agent = None
        self._record(time.monotonic(), "killed", device=DEVICE)
        self._record(time.monotonic(), "away", seconds=AWAY_SECONDS)
        self._disconnected(time.monotonic(), 0, by_client=True)

    def come_back(self) -> None:
        """Do not wait out a pause."""
        if self.agent is not None:
            self.agent.begin_to("connectNow", client=self.name)

    async def _do(self, do: str, **fields: Any) -> None:
        assert self.agent is not None
        await answer_of(self.agent.begin_to(do, client=self.name, **fields), do, START_SECONDS)

    # ---- what the client tells

    def hear(self, event: Event) -> None:
        """One event of the agent."""
        match event["event"]:
            case "state":
                self._state(event)
            case "handling":
                fields = {"peer": event["peer"], "message_id": event["id"], "digest": digest(event["text"])}
                self._record(event["t"], "handed", device=DEVICE, **fields)
                if self._rng.random() < READ_SHARE and self.agent is not None:
                    ids = [event["id"]]
                    self.agent.begin_to("markRead", client=self.name, peer=event["peer"], messageIds=ids)
            case "frame" if event["direction"] == "out":
                self._went(event["t"], event["frame"])
            case "frame":
                self._came(event["t"], event["frame"])

    def _record(self, t: float, kind: str, **fields: Any) -> None:
        fields = {"connection": self._connection, **fields}
        self._shared.history.record(kind, mobile=self.mobile, **fields, t=round(t, 6))

    def _state(self, event: Event) -> None:
        name, t = event["name"], event["t"]
        if name == "connecting":
            self._disconnected(t, 0)
            self._connection, self._is_open = next(self._shared.connections), True
            self._record(t, "connecting", session=self._session, dialect=V1, device=DEVICE)
        elif name != "online":
            code = str(event.get("code") or "")
            self._disconnected(t, int(code) if code.isdigit() else 0, reason=str(event.get("reason") or ""))
        if name == "pausing":
            # For so long the client stays away on purpose (C11, C12).
            seconds = float(event["until"]) / (1000 if event["until"] > 1e11 else 1) - time.time()
            self._record(t, "away", seconds=round(max(seconds, 0.0), 3))

    def _disconnected(self, t: float, code: int, reason: str = "", *, by_client: bool = False) -> None:
        self.connected = False
        if self._is_open:
            self._is_open = False
            self._record(t, "disconnected", code=code, reason=reason, by_client=by_client)

    def _went(self, t: float, frame: dict[str, Any]) -> None:
        match frame:
            case {"type": "chat", "to": peer, "messageId": message_id, "message": text}:
                attempt = self._attempts[peer, message_id] = self._attempts.get((peer, message_id), 0) + 1
                fields = {"peer": peer, "message_id": message_id, "digest": digest(text), "attempt": attempt}
                self._record(t, "send", session=self._session, **fields)
            case {"type": "ack", "ackType": "delivered", "streamIds": ids}:
                self._record(t, "ack", stream_ids=ids)
            case {"type": "ack", "ackType": "read", "to": peer, "messageIds": ids}:
                self._record(t, "read", peer=peer, message_ids=ids)

    def _came(self, t: float, frame: dict[str, Any]) -> None:
        match frame:
            case {"type": "hello", "epoch": epoch}:
                self.connected, self._epoch = True, epoch
                self._record(t, "connected", session=self._session, epoch=epoch)
            case {"type": "chat"}:
                self._delivered(t, frame)
            case {"type": "sent", "to": peer, "messageId": message_id, "timestamp": timestamp}:
                self._answer(t, peer, message_id, "sent", retryable=False, timestamp=timestamp)
                self._final((peer, message_id), sent=True)
            case {"type": "error", "component": "chat", "messageId": message_id, "code": code}:
                peer, retryable = frame.get("to", ""), frame["retryable"]
                self._answer(t, peer, message_id, code, retryable=retryable, timestamp=0)
                if not retryable:
                    self._final((peer, message_id), sent=False)
            case {"type": "ack", "from": peer, "messageIds": ids, "ackType": kind, "streamId": stream_id}:
                self._record(t, "receipt", peer=peer, message_ids=ids, ack_type=kind, stream_id=stream_id)
                for each in ids:
                    self._receipt((peer, each))
            case {"type": "resync", "epoch": epoch}:
                self._epoch, self._shared.storage_lost = epoch, True
                self._record(t, "resync", epoch=epoch)

    def _delivered(self, t: float, frame: dict[str, Any]) -> None:
        chat = (frame["from"], frame["messageId"], digest(frame["message"]))
        fields = {"peer": chat[0], "message_id": chat[1], "digest": chat[2], "stream_id": frame["streamId"]}
        more = {"session": self._session, "epoch": self._epoch, "duplicate": chat in self._seen}
        self._record(t, "delivery", **fields, **more)
        self._seen.add(chat)
        self._shared.count_delivery(chat[0], self.mobile, chat[1])

    def _answer(self, t: float, peer: str, message_id: str, result: str, **more: Any) -> None:
        fields = {"peer": peer, "message_id": message_id, "result": result, "session": self._session}
        self._record(t, "answer", **fields, **more)

    def _final(self, place: tuple[str, str], *, sent: bool) -> None:
        if place in self.pending:
            self.pending.discard(place)
            self._shared.counts["acknowledged"] += sent
            if sent and place not in self._receipted:
                self.awaiting.add(place)

    def _receipt(self, place: tuple[str, str]) -> None:
        self._final(place, sent=True)
        self.awaiting.discard(place)
        if place not in self._receipted:
            self._receipted.add(place)
            self._shared.counts["receipts"] += 1


class RealClients:
    """All of these people, and the processes in which their clients live.

    :param names: of clients, ``python`` and ``js``
    """

    def __init__(self, names: Sequence[str], shared: Shared, rng: random.Random) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="wm-chaos-clients-"))
        self._rng = rng
        self.people = {
            name: [
                RealClient(f"{name}-{n}", shared, rng.choice(shared.addresses), self._home, rng) for n in range(PEOPLE)
            ]
            for name in names
        }
        self._agents: dict[str, Agent] = {}
        self._busy: set[asyncio.Task[None]] = set()

    @property
    def all(self) -> list[RealClient]:
        """Everybody."""
        return [person for people in self.people.values() for person in people]

    @property
    def busy(self) -> bool:
        """Whether somebody is about to start again."""
        return bool(self._busy)

    async def begin(self) -> None:
        """Start everything."""
        for name in self.people:
            await self._begin(name)

    async def _begin(self, name: str) -> None:
        agent = self._agents[name] = await Agent.begin(name, known_clients()[name].command, os.environ)
        by_name = {person.name: person for person in self.people[name]}
        agent.on_event = lambda event: by_name[event["client"]].hear(event)
        await answer_of(agent.begin_to("renew"), "the start of an agent", START_SECONDS)
        for person in self.people[name]:
            await person.begin(agent)

    def advance(self, seconds: float) -> None:
        """Restart and kill, as it falls into so much time."""
        if self._busy or not self.people:
            return
        if self._rng.random() < OFTEN["kill"] * seconds:
            self._spawn(self.kill(self._rng.choice(list(self.people))))
        elif self._rng.random() < OFTEN["restart"] * seconds:
            self._spawn(self._restart(self._rng.choice(self.all)))

    def check(self) -> None:
        """Raise what failed in this tool."""
        for task in [task for task in self._busy if task.done()]:
            self._busy.discard(task)
            task.result()
        for agent in self._agents.values():
            if not agent.alive and not self._busy:
                raise AgentError({"code": "agent_ended", "message": agent.stderr[-2000:]})

    def _spawn(self, work: Any) -> None:
        self._busy.add(asyncio.create_task(work))

    async def _restart(self, person: RealClient) -> None:
        agent = person.agent
        if agent is not None:
            await person.stop()
            await asyncio.sleep(self._rng.uniform(0, LONGEST_ABSENCE))
            await person.begin(agent)

    async def kill(self, name: str) -> None:
        """Kill the process in which this client's people live, and start it again."""
        # Somebody who is about to start again would do so in the process that is gone.
        await asyncio.gather(*(task for task in self._busy if task is not asyncio.current_task()))
        await self._agents[name].kill()
        for person in self.people[name]:
            person.killed()
        await asyncio.sleep(self._rng.uniform(0, LONGEST_ABSENCE))
        await self._begin(name)

    async def stop(self) -> None:
        """End everything."""
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        for agent in self._agents.values():
            await agent.kill()
        shutil.rmtree(self._home, ignore_errors=True)
