"""``python -m bench``: what ``run.py bench`` becomes once everything is installed."""

import uvloop

from bench.closed import closed
from bench.stack import Ours, Stack


async def main() -> None:
    stack = Stack(2)
    try:
        running = stack.start()
        for fsync in ("everysec", "always"):
            venue = Ours(running, fsync)
            await venue.prepare()
            result = await closed(venue, pairs=50, in_flight=8, warm_up=2, seconds=5)
            print(result.line())
    finally:
        stack.stop()


uvloop.run(main())
