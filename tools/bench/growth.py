"""Growth: does it matter how many people exist, with a waiting chat each, while a few talk?"""

import asyncio
import os
from typing import Final

from redis.asyncio import Redis

from tools.bench.accounting import Ledger
from tools.bench.line import Ear
from tools.bench.pairs import connect_all
from tools.bench.people import EXISTING_NUMBER, Mint
from tools.bench.venue import Venue

BATCH: Final = 1_000
_COPY: Final = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
    for _, key in ipairs(KEYS) do
        local start, stop = string.find(key, ARGV[1], 1, true)
        local target = string.sub(key, 1, start - 1) .. string.format('%.0f', number) .. string.sub(key, stop + 1)
        redis.call('COPY', key, target)
    end
end
"""


async def populate(venue: Venue, mint: Mint, redis: Redis, count: int) -> None:
    """Make ``count`` people who have an account and one chat waiting.

    :param redis: a client that answers in text

    One of them gets his chat through the product. The others' keys in Redis are copies of his: the same kinds and
    sizes, written a thousand times quicker. (They name his account, which nobody looks at as long as nobody of them
    connects.)

    :raises RuntimeError: when the product stored no chat for the first of them
    """
    await mint.crowd(count)
    first = str(EXISTING_NUMBER)
    await _send_one(venue, first)
    keys = [key async for key in redis.scan_iter(match=f"*{{{first}}}*", count=1000)]
    if not any(key.startswith("mailbox:") for key in keys):
        raise RuntimeError("the chat for the first of the crowd is not in a mailbox")
    copy = redis.register_script(_COPY)
    for begin in range(EXISTING_NUMBER + 1, EXISTING_NUMBER + count, BATCH):
        end = min(begin + BATCH, EXISTING_NUMBER + count) - 1
        await copy(keys=keys, args=[first, begin, end])
    while (await redis.info("persistence"))["aof_rewrite_in_progress"]:
        await asyncio.sleep(0.5)
    # A gigabyte that is on its way to the disk takes time from whatever is measured next: that is the price of making
    # people by the million, not of having them.
    await asyncio.to_thread(os.sync)


async def _send_one(venue: Venue, to: str) -> None:
    ledger = Ledger(1)
    (line,) = await connect_all(venue, await venue.people(1), [Ear(ledger)])
    line.chat(to, ledger.next_id(0))
    while ledger.pairs[0].stored.missing(1) and not ledger.refusals:
        await asyncio.sleep(0.01)
    line.end()
