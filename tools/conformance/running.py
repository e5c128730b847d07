"""All cases against all clients, several at a time."""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tools.conformance.cases  # noqa: F401 - it fills CASES
from tools.conformance.agents import AgentError, Pool
from tools.conformance.case import CASES, Case, play
from tools.conformance.waiting import PATIENCE
from tools.devstack.javascript import node

HERE: Final = Path(__file__).parent
CASE_SECONDS: Final = 8 * PATIENCE


@dataclass(frozen=True)
class Client:
    """A client to be tried: how its agent is started."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """How one case ended for one client. ``why`` is "" when it passed."""

    case: Case
    client: str
    why: str
    seconds: float


def known_clients() -> dict[str, Client]:
    """The clients of this repository that can be run here."""
    clients = {"python": Client("python", [sys.executable, str(HERE / "agent.py")])}
    if (found := node()) is not None:
        clients["js"] = Client("js", [*found.program, str(HERE / "agent.mjs")])
    return clients


def chosen(names: Iterable[str]) -> list[Case]:
    """The cases that are asked for: by rule (``C15``) or by name; without any, all.

    :raises ValueError: there is no such case
    """
    wanted = [name.lower() for name in names]
    for name in wanted:
        if not any(_is_meant(case, name) for case in CASES):
            raise ValueError(f"there is no case {name!r}")
    return [case for case in CASES if not wanted or any(_is_meant(case, name) for name in wanted)]


def _is_meant(case: Case, name: str) -> bool:
    return name in (case.rule.lower(), case.name)


async def run(
    clients: Sequence[Client],
    cases: Sequence[Case],
    *,
    at_once: int,
    done: Callable[[Outcome], None] = lambda _: None,
    environment: Mapping[str, str] | None = None,
    until_one_fails: bool = False,
) -> list[Outcome]:
    """Play each case against each client.

    :param at_once: so many cases are played together
    :param done: called after each
    :param environment: more of it for the agents
    :param until_one_fails: then the others are left out
    """
    places = asyncio.Semaphore(at_once)
    surroundings = {**os.environ, **(environment or {})}
    pools = {client.name: Pool(client.name, client.command, surroundings) for client in clients}

    async def one(case: Case, client: Client) -> Outcome:
        async with places:
            began = time.monotonic()
            why = await _why_not(case, pools[client.name])
            outcome = Outcome(case, client.name, why, time.monotonic() - began)
            done(outcome)
            return outcome

    playing = [asyncio.create_task(one(case, client)) for case in cases for client in clients]
    try:
        if until_one_fails:
            for each in asyncio.as_completed(playing):
                if (await each).why:
                    break
            for task in playing:
                task.cancel()
            await asyncio.wait(playing)
            return [task.result() for task in playing if not task.cancelled()]
        return await asyncio.gather(*playing)
    finally:
        for pool in pools.values():
            await pool.close()


async def _why_not(case: Case, pool: Pool) -> str:
    try:
        await play(case, pool, CASE_SECONDS)
    except TimeoutError:
        return f"over after {CASE_SECONDS:g} s"
    except (AssertionError, AgentError) as error:
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "cases" in frame.filename]
        place = f"{Path(where[-1].filename).name}:{where[-1].lineno}: " if where else ""
        return place + (str(error) or str(where[-1].line))
    return ""
