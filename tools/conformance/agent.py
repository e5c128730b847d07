"""The agent for the Python client: commands as JSON lines on stdin, answers and events on stdout (see README.md)."""

import asyncio
import contextlib
import dataclasses
import enum
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
sys.path.insert(0, os.environ.get("CONFORMANCE_CLIENT") or str(ROOT / "clients/python/src"))

from tools.conformance import agent_clock  # noqa: E402 - it is found now

CLOCK: Final = agent_clock.Clock()
CLOCK.install()

import whatsapp_mini  # noqa: E402 - it gets the clocks of this process
from whatsapp_mini.store import MemoryStore  # noqa: E402

Command = dict[str, Any]


def say(line: dict[str, Any]) -> None:
    """One line for the run."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def camel(name: str) -> str:
    """``retry_after`` becomes ``retryAfter``."""
    first, *rest = name.split("_")
    return first + "".join(each.title() for each in rest)


def snake(name: str) -> str:
    """``retryAfter`` becomes ``retry_after``."""
    return "".join("_" + each.lower() if each.isupper() else each for each in name)


def plain(value: Any) -> Any:
    """What JSON can hold, with the names of the wire."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(each.name): plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value


class Gates:
    """Operations of a store that are held until the run lets them go on."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._closed: dict[str, asyncio.Event] = {}

    def close(self, operation: str) -> None:
        """From now on it waits."""
        self._closed[operation] = asyncio.Event()

    def open(self, operation: str) -> None:
        """It goes on."""
        self._closed.pop(operation).set()

    def open_all(self) -> None:
        """Everything goes on."""
        for operation in list(self._closed):
            self.open(operation)

    async def wait(self, operation: str) -> None:
        """Wait while it is closed."""
        if operation in self._closed:
            self._tell("store", operation=operation)
            await self._closed[operation].wait()


class Gated:
    """A store whose operations can be held."""

    def __init__(self, store: Any, gates: Gates) -> None:
        self._store, self._gates = store, gates

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not iscoroutinefunction(found):
            return found

        async def held(*args: Any, **options: Any) -> Any:
            await self._gates.wait(camel(name))
            return await found(*args, **options)

        return held


class Person:
    """One client."""

    def __init__(self, name: str, given: Command, store: Any) -> None:
        self._name = name
        self.gates = Gates(self.tell)
        self.mode = given["handler"]
        self.in_hand: list[asyncio.Future[None]] = []
        self._before = asyncio.all_tasks()
        self.client: Any = whatsapp_mini.Client(
            given["url"],
            given["mobileNo"],
            given["password"],
            store=Gated(store, self.gates),
            device_id=given["deviceId"],
        )
        self._listener = self.client.events(frames=True)
        self._keep = self._listener.put
        self._listener.put = self._put  # type: ignore[method-assign]
        self._events: asyncio.Task[None] | None = None
        self._messages: AsyncIterator[Any] | None = None
        if self.mode:
            self.client.on_message(self._handle)

    def tell(self, event: str, **fields: Any) -> None:
        """An event, with the monotonic time of this process in seconds."""
        say({"event": event, "client": self._name, "t": round(CLOCK.now(), 6), **fields})

    async def start(self) -> None:
        """Begin, and tell what happens. An iterator that nobody asked before has kept what happened until now."""
        await self.client.start(wait=False)
        self._events = asyncio.create_task(self._tell_events())
        self._events.add_done_callback(_fail_loudly)

    def _put(self, event: Any) -> None:
        """A frame is told at once, so that what it causes elsewhere cannot be told before it."""
        if event.name == "frame":
            self.tell("frame", **plain(event))
        else:
            self._keep(event)

    async def _tell_events(self) -> None:
        async for event in self._listener:
            told = plain(event)
            inner = told.get("state") if event.name == "state" else told.get("message")
            self.tell(event.name, **(inner if isinstance(inner, dict) else told))

    async def _handle(self, message: Any) -> None:
        self.tell("handling", **plain(message))
        if self.mode == "fail":
            raise RuntimeError("this handler fails on purpose")
        if self.mode == "hold":
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.in_hand.append(waiting)
            await waiting
        self.tell("handled", **plain(message))

    async def next(self) -> Any:
        """The next of ``messages()``."""
        if self._messages is None:
            self._messages = aiter(self.client.messages())
        return await anext(self._messages)

    def left(self, others: set[asyncio.Task[None]]) -> dict[str, Any]:
        """What the client left behind."""
        mine = {asyncio.current_task(), self._events, *others}
        tasks = [task for task in asyncio.all_tasks() - self._before - mine if not task.done()]
        loop = asyncio.get_running_loop()
        assert isinstance(loop, agent_clock.Loop)
        return {"tasks": [repr(task)[:200] for task in tasks], "timers": len(loop.pending_timers())}

    async def end(self) -> None:
        """Stop, whatever it does."""
        self.gates.open_all()
        await self.client.stop(0)
        if self._events is not None:
            self._events.cancel()


def _fail_loudly(task: asyncio.Task[None]) -> None:
    """An agent that does not tell events any more would make cases fail for a wrong reason."""
    if not task.cancelled() and task.exception() is not None:
        logging.error("the events ended", exc_info=task.exception())
        os._exit(1)


class Agent:
    """Does commands, for any number of clients with names."""

    def __init__(self, loop: agent_clock.Loop) -> None:
        self._loop = loop
        self._people: dict[str, Person] = {}
        self._memory: dict[str, MemoryStore] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, name: str, given: Command) -> None:
        """Build a client; nothing is connected yet."""
        asked = given["store"]
        if asked["kind"] == "memory":
            store: Any = self._memory.setdefault(asked["name"], MemoryStore())
        else:
            store = whatsapp_mini.SqliteStore(asked["path"])
        if name in self._people:
            await self._people.pop(name).end()
        self._people[name] = Person(name, given, store)

    async def renew(self) -> None:
        """Forget everything but the process."""
        agent_clock.set_luck(None)
        CLOCK.right_wall()
        for person in self._people.values():
            await person.end()
        self._people, self._memory = {}, {}

    async def command(self, given: Command) -> Any:
        """Do one command.

        :raises Exception: what the client raises
        """
        do, name = given["do"], given.get("client", "main")
        of_the_process: dict[str, Callable[[], Any]] = {
            "open": lambda: self.open(name, given),
            "renew": self.renew,
            "luck": lambda: agent_clock.set_luck(given["value"]),
            "wall": lambda: setattr(CLOCK, "wall_error", given["seconds"]),
            "settle": lambda: agent_clock.settle(self._loop, given["seconds"]),
            "step": lambda: agent_clock.step(self._loop, CLOCK, given["most"]),
            "left": lambda: self._people[name].left(self._tasks),
        }
        made = of_the_process[do]() if do in of_the_process else _of_a_client(self._people[name], do, given)
        return plain(await made if isawaitable(made) else made)

    async def answer(self, given: Command) -> None:
        """Do one command and say what came of it."""
        try:
            say({"id": given["id"], "result": await self.command(given)})
        except Exception as error:  # noqa: BLE001 - it is told to the run
            say({"id": given["id"], "error": described(error)})

    async def serve(self) -> None:
        """Until stdin ends."""
        reader = asyncio.StreamReader(limit=1 << 26)
        await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async for line in reader:
            task = asyncio.create_task(self.answer(json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _of_a_client(person: Person, do: str, given: Command) -> Any:
    client = person.client
    named = {"message_id": given["messageId"]} if "messageId" in given else {}
    commands: dict[str, Callable[[], Any]] = {
        "start": person.start,
        "stop": lambda: client.stop(given.get("seconds", 10)),
        "online": client.online,
        "state": lambda: client.state,
        "connectNow": client.connect_now,
        "send": lambda: client.send(given["to"], given["text"], **named),
        "post": lambda: client.post(given["to"], given["text"], **named),
        "retry": lambda: client.retry(given["messageId"]),
        "discard": lambda: client.discard(given["messageId"]),
        "next": person.next,
        "markRead": lambda: client.mark_read(given["peer"], given["messageIds"]),
        "typing": lambda: client.typing(given["to"], given["active"]),
        "watch": lambda: client.watch(given["mobileNos"]),
        "unwatch": lambda: client.unwatch(given["mobileNos"]),
        "api": lambda: getattr(client.api, snake(given["name"]))(*given.get("args", [])),
        "handler": lambda: setattr(person, "mode", given["mode"]),
        "handled": lambda: person.in_hand.pop(0).set_result(None),
        "holdStore": lambda: person.gates.close(given["operation"]),
        "releaseStore": lambda: person.gates.open(given["operation"]),
    }
    return commands[do]()


def described(error: Exception) -> dict[str, Any]:
    """An error as the run reads it: its public fields, its class, and all that it says about itself."""
    names = [name for name in dir(error) if not name.startswith("_") and name not in ("args", "with_traceback")]
    fields = {camel(name): plain(getattr(error, name)) for name in names if not callable(getattr(error, name))}
    always = {"class": type(error).__name__, "message": str(error), "said": repr(error)}
    with contextlib.suppress(TypeError, ValueError):
        json.dumps(fields)
        return {**always, **fields}
    return always


async def main(loop: agent_clock.Loop) -> None:
    """Serve until stdin ends. Everything is logged, to stderr: cases look for secrets there."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    await Agent(loop).serve()


if __name__ == "__main__":
    the_loop = agent_clock.Loop()
    asyncio.set_event_loop(the_loop)
    the_loop.run_until_complete(main(the_loop))
