"""The benchmark against the real product, briefly: that it talks, counts and keeps its books. No figure is judged."""

import pytest

from tests.support.stack import Stack
from tools.bench.accounting import Ledger
from tools.bench.closed import closed
from tools.bench.line import Account, ConnectError, Ear
from tools.bench.offline import offline
from tools.bench.open import open_loop
from tools.bench.people import Mint
from tools.bench.seed import SeedTalker
from tools.bench.stack import Elsewhere
from tools.bench.storm import storm
from tools.bench.talker import Talker, open_line


@pytest.mark.parametrize("kind", [Talker, SeedTalker])
async def test_every_mode_finishes_with_clean_books(stack: Stack, kind: type[Talker]) -> None:
    venue = Elsewhere(stack.start(workers=2).url, kind=kind)
    run = await closed(venue, pairs=2, in_flight=4, warm_up=0.2, seconds=1)
    assert run.ledger.per_pair() == []
    assert run.figures["messages"] > 0
    assert run.ledger.sent >= run.figures["messages"]
    assert all(pair.sent > 4 for pair in run.ledger.pairs), "a receipt makes room for the next"

    run = await open_loop(venue, pairs=2, rate=50, warm_up=0.2, seconds=1, name="open")
    assert run.ledger.per_pair() == []
    assert run.ledger.sent == 60
    assert 0 < run.figures["received_p50_ms"] <= run.figures["receipt_p99_ms"]

    run = await offline(venue, waiting=300)
    assert run.ledger.per_pair() == []
    assert run.ledger.sent == 300
    assert 0 < run.figures["connect_to_last_ms"] <= run.figures["connect_to_all_receipts_ms"]

    run = await storm(venue, connections=5)
    assert not run.void
    assert run.figures["reconnects_per_second"] > 0


async def test_minted_people_are_let_in_and_forged_ones_are_not(stack: Stack) -> None:
    group = stack.start(workers=1)
    mint = Mint(stack.env["DATABASE_URL"], stack.env["JWT_SECRET"])
    asha, ravi = await mint.people(2)
    assert await mint.people(1) == [asha]
    ledger = Ledger(1)
    lines = [await open_line(group.ws_url, each, Ear(ledger)) for each in (asha, ravi)]
    for line in lines:
        line.end()
    with pytest.raises(ConnectError, match="401"):
        await open_line(group.ws_url, Account(asha.address, asha.secret[:-6] + "forged"), Ear(ledger))
    assert not ledger.defects().any()
