"""What the buttons break: a server process is killed, Redis is frozen for some seconds."""

import asyncio
import os
import signal
import sys
from typing import Final

from tools.demo.freeze import BUSY
from tools.demo.place import Place
from tools.devstack.options import ROOT

AWAY_SECONDS: Final = 5.0
KILL_AFTER_SECONDS: Final = 0.05
"""The process to be killed may be the one that answers: its answer leaves first."""
KNOWN_WITHIN_SECONDS: Final = 2.0
"""The launcher writes down which processes serve twice a second; a phone may know a new one before."""
LOOK_SECONDS: Final = 0.1


class Refused(Exception):
    """A button cannot do this now; says why."""


async def kill_server(place: Place, server_id: str) -> int:
    """kill -9 a server process of the demo; its pid.

    :raises Refused: no living one has this serverId
    """
    for _ in range(int(KNOWN_WITHIN_SECONDS / LOOK_SECONDS)):
        pid = next((each.pid for each in place.servers() if each.server_id == server_id), None)
        if pid is not None:
            asyncio.get_running_loop().call_later(KILL_AFTER_SECONDS, os.kill, pid, signal.SIGKILL)
            return pid
        await asyncio.sleep(LOOK_SECONDS)
    raise Refused("No living server has this serverId: it was killed already.")


async def freeze_redis(place: Place, seconds: float = AWAY_SECONDS) -> None:
    """Nothing that Redis is asked is answered for so long; its connections stay open.

    :raises Refused: it is frozen already, or does not run
    """
    valkey = place.valkey()
    if valkey is None:
        raise Refused("Redis does not run.")
    pid, born = valkey
    arguments = str(place.directory / "frozen.lock"), str(pid), born, str(seconds)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tools.demo.freeze",
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    code = await process.wait()
    if code == BUSY:
        raise Refused("Redis is away already.")
    if code != 0:
        raise Refused("Redis could not be frozen.")
