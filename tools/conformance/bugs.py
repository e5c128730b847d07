"""Bugs put into copies of the clients on purpose: each must be found by a case of the rule that it breaks."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.conformance.case import Case
from tools.conformance.running import Client, chosen, run

ROOT: Final = Path(__file__).parents[2]
BUGS_AT_ONCE: Final = 4
SOURCES: Final = {"python": ROOT / "clients/python/src", "js": ROOT / "clients/js/src"}


@dataclass(frozen=True)
class Bug:
    """A change of one place in the source of one client.

    :param rules: those of which at least one case must fail
    :param file: below :data:`SOURCES`
    :param old: what stands there exactly once
    """

    name: str
    client: str
    rules: tuple[str, ...]
    file: str
    old: str
    new: str


_CORE: Final = "whatsapp_mini/core"
_KEEPER: Final = "whatsapp_mini/session_keeper.py"
BUGS: Final = (
    Bug(
        "uses-tokens-before-they-are-kept",
        "python",
        ("C4",),
        _KEEPER,
        "-> Session:\n        await self._store.save_session(session)\n",
        "-> Session:\n        asyncio.ensure_future(self._store.save_session(session))\n",
    ),
    Bug(
        "reckons-by-the-wall-clock",
        "python",
        ("C8",),
        _KEEPER,
        "        self._use(session, life, life)\n",
        "        self._use(session, life, _unix(session.expires_at) - self._clock.wall())\n",
    ),
    Bug(
        "answers-4508-by-connecting",
        "python",
        ("C13",),
        f"{_CORE}/connection.py",
        "4500 <= code <= 4999",
        "4509 <= code <= 4999",
    ),
    Bug(
        "pauses-for-less-than-it-was-told",
        "python",
        ("C12",),
        f"{_CORE}/connection.py",
        "now + retry_after + self._rng.uniform(0, SPREAD)",
        "now + self._rng.uniform(0, retry_after)",
    ),
    Bug(
        "sends-again-with-another-id",
        "python",
        ("C21", "C26"),
        f"{_CORE}/outbox.py",
        '"messageId": message.id,',
        '"messageId": f"{message.id}-{now:.3f}",',
    ),
    Bug(
        "acknowledges-what-came",
        "python",
        ("C27", "C28"),
        f"{_CORE}/inbox.py",
        "        if batch.may_overtake:\n",
        '        self._do(SendFrame({"type": "ack", "ackType": "delivered", "streamIds": list(batch.stream_ids)}))\n'
        "        if batch.may_overtake:\n",
    ),
    Bug(
        "knows-a-chat-by-its-id-alone",
        "python",
        ("C30",),
        "whatsapp_mini/store.py",
        "blake2b(text.encode()",
        'blake2b(b""',
    ),
    Bug(
        "ticks-go-back",
        "python",
        ("C33",),
        "whatsapp_mini/messages.py",
        '"delivered": 3, "read": 4',
        '"delivered": 4, "read": 3',
    ),
    Bug(
        "watches-once",
        "python",
        ("C36",),
        f"{_CORE}/core.py",
        "        self.watching.connected()\n",
        "",
    ),
    Bug(
        "stops-at-once",
        "python",
        ("C39",),
        f"{_CORE}/core.py",
        "        return not on_the_way and",
        "        return True or not on_the_way and",
    ),
    Bug(
        "uses-tokens-before-they-are-kept",
        "js",
        ("C4",),
        "session.js",
        "    await this.store.saveSession(session);\n    this.use(",
        "    void this.store.saveSession(session);\n    this.use(",
    ),
    Bug(
        "reckons-by-the-wall-clock",
        "js",
        ("C8",),
        "session.js",
        "    this.use(session, lifetime(session));\n",
        "    this.use(session, Date.parse(session.expiresAt) - this.clock.wall());\n",
    ),
    Bug(
        "answers-4508-by-connecting",
        "js",
        ("C13",),
        "core.js",
        ": code < 4500);",
        ": code < 4509);",
    ),
    Bug(
        "pauses-for-less-than-it-was-told",
        "js",
        ("C12",),
        "core.js",
        "retryAfter * 1000 + this.random() * 1000;",
        "retryAfter * 1000 * this.random();",
    ),
    Bug(
        "sends-again-with-another-id",
        "js",
        ("C21", "C26"),
        "outgoing.js",
        "messageId: id, message: text });",
        "messageId: `${id}-${now}`, message: text });",
    ),
    Bug(
        "acknowledges-what-came",
        "js",
        ("C27", "C28"),
        "incoming.js",
        "    this.queue(chats.map(asMessage), batch);\n",
        "    this.queue(chats.map(asMessage), batch);\n"
        '    this.core.send({ type: "ack", ackType: "delivered", streamIds: chats.map((one) => one.streamId) });\n',
    ),
    Bug(
        "knows-a-chat-by-its-id-alone",
        "js",
        ("C30",),
        "store.js",
        ".some((row) => sameText(row, chat));",
        ".length > 0;",
    ),
    Bug(
        "hands-over-in-the-order-of-arrival",
        "js",
        ("C31",),
        "incoming.js",
        '.filter(({ type }) => type === "chat").sort(byStreamId);',
        '.filter(({ type }) => type === "chat");',
    ),
    Bug(
        "ticks-go-back",
        "js",
        ("C33",),
        "store.js",
        "delivered: 3, read: 4",
        "delivered: 4, read: 3",
    ),
    Bug(
        "watches-once",
        "js",
        ("C36",),
        "people.js",
        "    this.ask([...this.watched]);\n",
        "",
    ),
    Bug(
        "stops-at-once",
        "js",
        ("C39",),
        "core.js",
        "    if (!this.outgoing.flights.size && this.incoming.idle) this.finish(",
        "    this.finish(",
    ),
)


def copy_with(bug: Bug, folder: Path) -> Path:
    """The source of the client with the bug.

    :raises ValueError: the place has changed: mend the bug
    """
    source = folder / "src"
    shutil.copytree(SOURCES[bug.client], source, ignore=shutil.ignore_patterns("__pycache__"))
    path = source / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its place is {text.count(bug.old)} times in {bug.file}; change bugs.py")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
    return source


async def hunt(names: Sequence[str], clients: Sequence[Client], at_once: int, say: Callable[[str], None]) -> int:
    """Play the cases of the broken rules against each bug; the exit code is 1 when one was not found."""
    known = {client.name: client for client in clients}
    places = asyncio.Semaphore(BUGS_AT_ONCE)
    bugs = [bug for bug in BUGS if bug.client in known and (not names or bug.name in names)]

    async def one(bug: Bug) -> bool:
        async with places:
            found = await find(bug, known[bug.client], max(1, at_once // BUGS_AT_ONCE))
        say(f"{bug.client:<7} {bug.name:<34} {f'found by {found}' if found else 'NOT FOUND'}")
        return bool(found)

    return 0 if bugs and all(await asyncio.gather(*map(one, bugs))) else 1


async def find(bug: Bug, client: Client, at_once: int) -> str:
    """A case that fails with the bug, fails again, and passes without it; "" if none does.

    The second and the third time rule out that a case failed for another reason, as on a busy machine.

    :raises ValueError: the bug does not fit the source
    """
    with tempfile.TemporaryDirectory(prefix="wm-conformance-bug-") as folder:
        surroundings = {"CONFORMANCE_CLIENT": str(copy_with(bug, Path(folder)))}

        async def failed(cases: Sequence[Case], environment: Mapping[str, str]) -> list[Case]:
            played = await run([client], cases, at_once=at_once, environment=environment, until_one_fails=True)
            return [each.case for each in played if each.why]

        left = chosen(bug.rules)
        while left and (found := await failed(left, surroundings)):
            case = found[0]
            if not await failed([case], {}) and await failed([case], surroundings):
                return case.name
            left.remove(case)
    return ""
