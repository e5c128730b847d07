"""The XMPP servers: the message when a package is missing, and the archive compared with the ledger."""

from pathlib import Path

import pytest

from tools.bench import xmpp_servers
from tools.bench.accounting import Ledger
from tools.bench.environment import NotInstalled
from tools.bench.result import Result
from tools.bench.talking import closed
from tools.bench.xmpp_servers import EjabberdArchive


def test_without_the_driver_the_archive_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(xmpp_servers, "_DRIVERS", (str(tmp_path), "*"))
    with pytest.raises(NotInstalled, match=r"apt-get install .* erlang-p1-pgsql"):
        EjabberdArchive()


async def test_each_chat_is_in_the_archive_and_one_that_is_not_makes_the_run_void() -> None:
    try:
        environment = EjabberdArchive()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    try:
        result = await closed(environment, pairs=2, in_flight=2, warm_up=0.1, seconds=0.5)
        await environment.check_archive(result)
        assert result.ledger.defects().text() == "none"
        assert result.figures["messages_archived"] == result.ledger.sent > 0

        never_sent = Ledger(1)
        never_sent.next_id(0)
        lost = Result("closed", environment.name, {}, {}, never_sent, 1.0, {}, per=1)
        await environment.check_archive(lost)
        assert lost.ledger.defects().unstored == 1
        assert lost.void
        assert (await environment.facts())["postgres_fsync"] == "on"
    finally:
        await environment.close()
    assert not environment._data.exists()
