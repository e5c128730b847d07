"""The product with patches that no setting of it can make: ``sanic tools.chaos.patched:app``.

``CHAOS_PATCHES`` names the patches, separated by commas; ``CHAOS_BUG`` one of the bugs on purpose. Nothing of this is
in the product.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from app import app
from protocol.dialects import V1, Seed
from protocol.entries import Chat
from server.application import MiniSanic
from tools.chaos.bugs import put_in

LONGEST_BLOCK: Final = 60.0


def block(app: MiniSanic) -> None:
    """SIGUSR2 blocks the event loop, while its threads go on, for as long as the file ``CHAOS_BLOCK`` exists."""
    flag = Path(os.environ["CHAOS_BLOCK"])

    def block_loop(_number: int, _frame: FrameType | None) -> None:
        began = time.monotonic()
        while flag.exists() and time.monotonic() - began < LONGEST_BLOCK:
            time.sleep(0.02)

    async def listen(_app: MiniSanic) -> None:
        signal.signal(signal.SIGUSR2, block_loop)

    app.before_server_start(listen)


def tasks(app: MiniSanic) -> None:
    """SIGUSR1 makes a worker write how many asyncio tasks it has, into the directory ``CHAOS_TASKS``."""
    place = Path(os.environ["CHAOS_TASKS"])

    def count() -> None:
        new = place / f".{os.getpid()}"
        new.write_text(str(len(asyncio.all_tasks())), encoding="ascii")
        new.rename(place / str(os.getpid()))

    async def listen(app: MiniSanic) -> None:
        app.loop.add_signal_handler(signal.SIGUSR1, count)

    app.before_server_start(listen)


def poison(_app: MiniSanic) -> None:
    """Our own code raises on a chat that begins with ``CHAOS_POISON``."""
    for dialect in (Seed, V1):
        _poison(dialect, os.environ["CHAOS_POISON"])


def _poison(dialect: type[Seed] | type[V1], word: str) -> None:
    encode = dialect.chat

    def chat(self: Seed | V1, chat: Chat, *rest: object) -> list[bytes]:
        if chat.message.startswith(word):
            raise ZeroDivisionError("a bug on purpose")
        return encode(self, chat, *rest)  # type: ignore[arg-type]

    dialect.chat = chat  # type: ignore[method-assign, assignment]


PATCHES: Final[dict[str, Callable[[MiniSanic], None]]] = {"block": block, "poison": poison, "tasks": tasks}

for _name in os.environ.get("CHAOS_PATCHES", "").split(","):
    if _name:
        PATCHES[_name](app)

put_in(os.environ.get("CHAOS_BUG", ""))
