"""How long honest people wait to log in while 200 others guess. Not a test: run it against what runs.

    python -m tools.devstack --port 5230 --data /tmp/x &      # with the limits of production, see LIMITS
    python -m tests.journeys.measure_logins http://127.0.0.1:5230

Everybody has an address of their own on the loopback network, so it wants Linux, and a server without PROXIES.
"""

import argparse
import asyncio
import itertools
import json
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

PASSWORD: Final = "correct horse"
LIMITS: Final = (
    "LOGINS_PER_ADDRESS_PER_MINUTE=10 LOGINS_PER_ADDRESS_BURST=10 SIGN_UPS_PER_HOUR=5 CONNECTIONS_PER_ADDRESS=64 "
    "BCRYPT_ROUNDS=12"
)
HONEST, ATTACKERS = 16, 200
GIVES_UP: Final = 15.0


class Client:
    """HTTP/1.1 over one connection at a time, from an address of its own."""

    def __init__(self, port: int, address: str) -> None:
        self._port, self._address = port, address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and answer; 0 when there was none."""
        try:
            return await self._post(path, json.dumps(body).encode())
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.close()
            return 0, {}

    async def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
        reader, writer = self._streams
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split(" ")[1]), json.loads(answer)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


@dataclass
class Person:
    mobile: str
    address: str
    known: bool


@dataclass
class Outcome:
    waits: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    missed: Counter[bool] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)


async def _people(port: int, first: int) -> list[Person]:
    """Half of them logged in from their address before."""
    people = []
    for number in range(HONEST):
        person = Person(str(first + number), f"127.1.{first % 200}.{number + 1}", number % 2 == 0)
        client = Client(port, person.address)
        form = {"name": "Asha", "mobileNo": person.mobile, "password": PASSWORD}
        status, _ = await client.post("/auth/signin", form)
        assert status == 200, status
        if person.known:
            status, _ = await client.post("/auth/login", {"mobileNo": person.mobile, "password": PASSWORD})
            assert status == 200, status
        client.close()
        people.append(person)
    return people


async def _log_in(port: int, person: Person, outcome: Outcome) -> None:
    client, began = Client(port, person.address), time.monotonic()
    while time.monotonic() - began < GIVES_UP:
        status, answer = await client.post("/auth/login", {"mobileNo": person.mobile, "password": PASSWORD})
        if status == 200:
            outcome.waits[person.known].append(time.monotonic() - began)
            break
        await asyncio.sleep(min(float(answer.get("retryAfter", 1)), 2.0))
    else:
        outcome.missed[person.known] += 1
    client.close()


async def _attack(port: int, address: str, mobiles: Callable[[], str], outcome: Outcome) -> None:
    client = Client(port, address)
    try:
        while True:
            status, _ = await client.post("/auth/login", {"mobileNo": mobiles(), "password": "wrong horse"})
            outcome.answers[status] += 1
            if not status:
                await asyncio.sleep(0.1)
    finally:
        client.close()


async def _case(port: int, people: list[Person], *, one_address: bool, one_number: bool) -> Outcome:
    outcome = Outcome()
    victim = people[0].mobile
    numbers = (str(919_900_000_000 + secrets.randbelow(10**8)) for _ in itertools.count())
    work = [
        asyncio.create_task(
            _attack(
                port,
                "127.9.9.9" if one_address else f"127.3.{number // 100}.{number % 100 + 1}",
                (lambda: victim) if one_number else (lambda: next(numbers)),
                outcome,
            )
        )
        for number in range(ATTACKERS)
    ]
    await asyncio.sleep(2)
    honest = []
    for person in people:
        honest.append(asyncio.create_task(_log_in(port, person, outcome)))
        await asyncio.sleep(0.5)
    await asyncio.gather(*honest)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    return outcome


def _row(name: str, outcome: Outcome) -> str:
    def column(known: bool) -> str:
        waits, missed = outcome.waits[known], outcome.missed[known]
        if not waits:
            return f"0 of {missed}"
        slowest = f"{statistics.median(waits):.1f} / {max(waits):.1f} s"
        return f"{len(waits)} of {len(waits) + missed}: {slowest}"

    answers = ", ".join(f"{count}× {status}" for status, count in outcome.answers.most_common())
    return f"| {name} | {column(True)} | {column(False)} | {answers} |"


async def main(port: int) -> None:
    """All four cases, some 25 s each."""
    print("| attackers | known devices in: median, slowest | new devices | attackers were told |\n|---|---|---|---|")
    for number, (one_address, one_number) in enumerate(itertools.product((True, False), (True, False))):
        people = await _people(port, 919_811_000_000 + secrets.randbelow(10**6) * 100 + number)
        outcome = await _case(port, people, one_address=one_address, one_number=one_number)
        where = "one address" if one_address else "200 addresses"
        whom = "one number" if one_number else "many numbers"
        print(_row(f"{where}, {whom}", outcome), flush=True)
        await asyncio.sleep(3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    asyncio.run(main(int(parser.parse_args().url.rpartition(":")[2])))
