"""The agents from the run's side: processes in any language that build a client and do what a case says."""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tools.conformance.waiting import PATIENCE, Changes

Event = dict[str, Any]
_LINE: Final = 1 << 26
NOTHING: Final = 1e-6
"""Seconds that are too few to move a clock by: what is left over when floats are subtracted."""
START_SECONDS: Final = 60.0
"""A busy machine may take so long to start a program."""
QUIET_SECONDS: Final = 0.04
"""So long is waited before it is said that something did not happen."""


class AgentError(Exception):
    """The client refused what it was told. ``data`` is the error as the agent tells it: ``code``, ``message`` …"""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(f"{data.get('code')}: {data.get('message')}")
        self.data = data

    @property
    def code(self) -> str:
        """The stable name."""
        return str(self.data.get("code", ""))


class Agent:
    """One process, used by one case at a time.

    :ivar events: everything that the client told since the last :meth:`renew`
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.events: list[Event] = []
        self.changes = Changes()
        self.on_event: Callable[[Event], None] | None = None
        """Hears the events in place of :attr:`events`."""
        self.stderr = ""
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._taken: set[int] = set()
        self._reading = [asyncio.create_task(self._read()), asyncio.create_task(self._read_stderr())]

    @classmethod
    async def begin(cls, name: str, command: Sequence[str], environment: Mapping[str, str]) -> "Agent":
        """Start the process."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LINE, env=environment
        )
        return cls(name, process)

    async def kill(self) -> None:
        """End the process at once, as a power cut would."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._reading)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "event" in told:
                self.hear(told)
            else:
                self._answer(told)
            self.changes.notify()
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(AgentError({"code": "agent_ended", "message": self.stderr[-2000:]}))
        self.changes.notify()

    def hear(self, told: Event) -> None:
        """One event."""
        if self.on_event is not None:
            self.on_event(told)
        else:
            self.events.append(told)

    def _answer(self, told: dict[str, Any]) -> None:
        waiting = self._answers.pop(told["id"])
        if waiting.done():
            return
        if "error" in told:
            waiting.set_exception(AgentError(told["error"]))
        else:
            waiting.set_result(told.get("result"))

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.stderr += line.decode(errors="replace")

    # ---- commands

    def begin_to(self, do: str, **arguments: Any) -> "asyncio.Future[Any]":
        """Give a command; what is returned waits for its answer."""
        number = next(self._numbers)
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        assert self._process.stdin is not None
        if self.alive:
            self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n")
        else:
            waiting.set_exception(AgentError({"code": "agent_ended", "message": self.stderr[-2000:]}))
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # a case may not wait for it
        return waiting

    async def do(self, do: str, **arguments: Any) -> Any:
        """Give a command and wait for its answer.

        :raises AgentError: the client refused it
        :raises AssertionError: there is no answer
        """
        return await answer_of(self.begin_to(do, **arguments), do)

    # ---- events

    def told(self, event: str, **fields: Any) -> list[Event]:
        """All events of this name with these fields, in order."""
        wanted = {"event": event, **fields}
        return [each for each in self.events if wanted.items() <= each.items()]

    async def expect(self, event: str, **fields: Any) -> Event:
        """The next event of this name with these fields that was not expected before.

        :raises AssertionError: it does not come
        """
        wanted = {"event": event, **fields}

        def find() -> int | None:
            for index, each in enumerate(self.events):
                if index not in self._taken and wanted.items() <= each.items():
                    return index
            return None

        await self.changes.until(lambda: find() is not None, lambda: f"the event {wanted}; told: {self._last()}")
        index = find()
        assert index is not None
        self._taken.add(index)
        return self.events[index]

    def _last(self) -> str:
        return json.dumps([each for each in self.events if each["event"] != "frame"][-5:])[:500]

    # ---- time

    async def advance(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """So many seconds pass for the client, or fewer: until the condition holds. How many passed.

        :raises AssertionError: the condition does not hold after them
        """
        left = seconds
        while left > NOTHING and not (until is not None and until()):
            left -= await self.do("step", most=left)
            for _ in range(4):  # what the client wrote meanwhile is read and answered
                await asyncio.sleep(0)
        if until is not None:
            await self.changes.until(
                until, lambda: f"a condition, after {seconds:g} s of the client's clock; {self._last()}"
            )
        return seconds - max(left, 0.0)

    async def quiet(self) -> None:
        """Give what must not happen the time to happen."""
        await self.do("settle", seconds=QUIET_SECONDS)
        await asyncio.sleep(QUIET_SECONDS / 4)

    async def renew(self) -> None:
        """Forget the client, the events and the moved clocks.

        :raises AssertionError: the client could not be stopped
        """
        await self.do("renew")
        self.events.clear()
        self._taken.clear()
        self.stderr = ""
        self.changes = Changes()


async def answer_of(waiting: "asyncio.Future[Any]", what: str = "it", seconds: float = PATIENCE) -> Any:
    """The answer to a command that was given.

    :raises AssertionError: there is none
    """
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    if not done:
        raise AssertionError(f"{what} was not answered within {seconds:g} s")
    return waiting.result()


async def failure(waiting: "asyncio.Future[Any]") -> AgentError:
    """With what the client refuses a command.

    :raises AssertionError: it does it
    """
    try:
        result = await answer_of(waiting)
    except AgentError as error:
        return error
    raise AssertionError(f"it was not refused: {result}")


class Pool:
    """Agents of one client; they are used again by the next case."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._name, self._command, self._environment = name, command, environment
        self._free: list[Agent] = []

    async def take(self, changes: Changes) -> Agent:
        """An agent without a client. What it tells notifies ``changes``."""
        agent = self._free.pop() if self._free else await Agent.begin(self._name, self._command, self._environment)
        agent.changes = changes
        await answer_of(agent.begin_to("renew"), "the start of an agent", START_SECONDS)
        return agent

    async def give_back(self, agent: Agent) -> None:
        """The case is over. An agent that was killed, or cannot end its clients, is not used again."""
        try:
            await agent.renew()
            self._free.append(agent)
        except (AssertionError, AgentError):
            await agent.kill()

    async def close(self) -> None:
        """End all that are free."""
        await asyncio.gather(*(agent.kill() for agent in self._free))
        self._free.clear()
