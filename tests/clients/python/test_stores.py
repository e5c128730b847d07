"""What every store of the Python client promises, and what the file does besides."""

import asyncio
import gc
import sqlite3
import stat
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from whatsapp_mini import MemoryStore, Message, Session, SqliteStore, Store, StoreError, StoreMismatch
from whatsapp_mini.messages import Failure
from whatsapp_mini.store import (
    Chat,
    Discarded,
    HasFailed,
    OwnChat,
    Read,
    Receipt,
    Retried,
    Sent,
)

from tests.clients.python.support import ASHA, BEN

SESSION = Session("http://x", "919100000000", "1", "Me", "primary", "a.b.c", "2026-01-01T00:00:00Z", "wmr_1", "2027")
DAY_MS = 24 * 3600 * 1000


def mine(id: str, text: str = "hello", peer: str = ASHA) -> Message:
    return Message(id, peer, True, text, 1, "waiting")


def theirs(id: str, place: int = 1, text: str = "hello", peer: str = ASHA) -> Message:
    return Message(id, peer, False, text, place, "new", f"{place}-0")


@pytest.fixture(params=["memory", "file", "history"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each of them in turn."""
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "me", history="his" in request.param)
    yield made
    await made.close()


class TestEveryStore:
    """The operations of docs/clients.md."""

    async def test_an_empty_one(self, store: Store) -> None:
        kept = await store.load()
        assert (kept.session, kept.epoch) == (None, None)
        assert [*kept.waiting, *kept.failed, *kept.reads] == []

    async def test_a_session_is_kept_and_removed(self, store: Store) -> None:
        await store.save_session(SESSION)
        assert (await store.load()).session == SESSION
        await store.save_session(None)
        assert (await store.load()).session is None

    async def test_messages_wait_in_the_order_in_which_they_were_written(self, store: Store) -> None:
        for id in ("m3", "m1", "m2"):
            assert await store.add([mine(id)]) == [mine(id)]
        assert await store.add([mine("m1")]) == [mine("m1")], "it is there already"
        await store.apply([Sent(ASHA, "m1", 5)])
        assert (await store.load()).waiting == [mine("m3"), mine("m2")]

    async def test_sent_and_receipts_only_raise(self, store: Store) -> None:
        await store.add([mine("m1")])
        await store.add([mine("m2")])
        changes = [Sent(ASHA, "m1", 5), Sent(ASHA, "m1", 5), Receipt(ASHA, ("m1", "m2"), "delivered", 6)]
        changes += [Receipt(ASHA, ("m1", "m2"), "expired", 7), Receipt(ASHA, ("m2", "m2"), "read", 8)]
        news = await store.apply(changes)
        assert [(each.change, each.ids) for each in news] == [
            (changes[0], ("m1",)),
            (changes[2], ("m1", "m2")),
            (changes[4], ("m2",)),
        ]
        assert (await store.load()).waiting == []

    async def test_a_failed_message_can_be_retried_or_discarded(self, store: Store) -> None:
        for id in ("m1", "m2", "m3"):
            await store.add([mine(id)])
        error = Failure("no_answer", "It was silent.")
        failed = await store.apply([HasFailed(ASHA, "m1", error), HasFailed(ASHA, "m1", error), Discarded(ASHA, "m2")])
        assert [each.message for each in failed] == [replace(mine("m1"), state="failed", error=error)]
        assert (await store.load()).failed == [failed[0].message]
        await store.apply([HasFailed(ASHA, "m3", error), Discarded(ASHA, "m3")])
        news = await store.apply([Retried(ASHA, "m1", "new")])
        assert [each.message for each in news] == [mine("new")]
        kept = await store.load()
        assert (kept.waiting, kept.failed) == ([mine("m2"), mine("new")], [])

    async def test_a_message_that_failed_and_arrived_is_no_longer_failed(self, store: Store) -> None:
        await store.add([mine("m1")])
        await store.apply([HasFailed(ASHA, "m1", Failure("x", "y")), Receipt(ASHA, ("m1",), "delivered", 5)])
        kept = await store.load()
        assert [*kept.waiting, *kept.failed] == []

    async def test_what_is_known_is_no_news(self, store: Store) -> None:
        chats = [theirs("m1", 1), theirs("m1", 2), theirs("x", 1), theirs("m1", 3, "other"), theirs("m1", 4, peer=BEN)]
        assert [chat.stream_id for chat in await store.unknown(chats)] == ["1-0", "1-0", "3-0", "4-0"]
        news = await store.apply([Chat(chat) for chat in chats])
        assert [each.message for each in news] == [chats[0], chats[3], chats[4]]
        assert await store.unknown(chats) == []

    async def test_another_epoch_forgets_places_only(self, store: Store) -> None:
        await store.save_epoch("e1")
        await store.apply([Chat(theirs("m1", 1))])
        await store.save_epoch("e1")
        assert await store.unknown([theirs("m2", 1)]) == []
        await store.save_epoch("e2")
        assert await store.unknown([theirs("m1", 9), theirs("m2", 1)]) == [theirs("m2", 1)]
        assert (await store.load()).epoch == "e2"

    async def test_own_chats_and_receipts_in_either_order(self, store: Store) -> None:
        own = replace(mine("o1"), state="sent", timestamp=3, stream_id="3-0")
        assert [each.message for each in await store.apply([OwnChat(own), OwnChat(own)])] == [own]
        early = replace(own, id="o2", stream_id="4-0")
        await store.apply([Receipt(ASHA, ("o2",), "read", 9)])
        news = await store.apply([OwnChat(early), OwnChat(early)])
        assert [each.message for each in news] == [replace(early, state="read")]

    async def test_reads_wait_until_the_server_was_told(self, store: Store) -> None:
        await store.apply(
            [Read(ASHA, ("m1", "m2"), "here"), Read(BEN, ("m1",), "here"), Read(ASHA, ("m9",), "elsewhere")]
        )
        await store.apply([Read(ASHA, ("m1",), "told"), Read(BEN, ("m1",), "told")])
        assert list((await store.load()).reads) == [(ASHA, ("m2",))]

    async def test_one_user_at_a_time_is_in_the_lock(self, store: Store) -> None:
        inside: list[int] = []

        async def task() -> int:
            inside.append(1)
            await asyncio.sleep(0.01)
            assert inside == [1]
            inside.clear()
            return 7

        assert await asyncio.gather(*(store.locked(task) for _ in range(4))) == [7] * 4


class TestFile:
    """:class:`SqliteStore`."""

    async def test_all_of_it_is_there_after_a_restart(self, tmp_path: Path) -> None:
        before = SqliteStore(tmp_path / "me")
        await before.save_session(SESSION)
        await before.save_epoch("e1")
        await before.add([mine("m1", "tschüß 😀")])
        await before.apply([Chat(theirs("c1")), Read(ASHA, ("c1",), "here")])
        await before.close()
        store = SqliteStore(tmp_path / "me")
        kept = await store.load()
        assert (kept.session, kept.epoch, kept.waiting) == (SESSION, "e1", [mine("m1", "tschüß 😀")])
        assert kept.reads == [(ASHA, ("c1",))]
        assert await store.unknown([theirs("c1", 5)]) == []
        await store.close()

    async def test_only_its_owner_can_read_it(self, tmp_path: Path) -> None:
        (tmp_path / "me").touch(mode=0o644)
        store = SqliteStore(tmp_path / "me")
        await store.add([mine("m1")])
        await store.locked(store.load)
        assert modes(tmp_path) == dict.fromkeys(("me", "me-wal", "me-shm", "me.lock"), 0o600)
        await store.close()

    async def test_it_is_durable_and_in_one_transaction(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me")
        await store.add([mine("m1")])
        with pytest.raises(AttributeError):
            await store.apply([Chat(theirs("c1")), Sent(ASHA, "m1", 5), Chat(None)])  # type: ignore[arg-type]
        assert (await store.load()).waiting == [mine("m1")]
        assert await store.unknown([theirs("c1")]) == [theirs("c1")]
        pragmas = [
            await store._do(lambda db, name=name: db.execute(f"PRAGMA {name}").fetchone()[0]) for name in PRAGMAS
        ]  # type: ignore[misc]
        assert pragmas == ["wal", 2, 1]
        await store.close()

    async def test_texts_are_forgotten_unless_a_history_is_wanted(self, tmp_path: Path) -> None:
        def text_in_file(path: Path) -> bool:
            with sqlite3.connect(path) as db:
                return ("secret",) in db.execute("SELECT text FROM messages").fetchall()

        for history in (False, True):
            path = tmp_path / f"history-{history}"
            store = SqliteStore(path, history=history)
            await store.add([mine("m1", "secret")])
            assert text_in_file(path), "it must survive until it is sent"
            await store.apply([Sent(ASHA, "m1", 5), Chat(theirs("c1", text="secret"))])
            assert text_in_file(path) is history
            await store.close()

    async def test_a_message_that_was_sent_is_answered_from_the_file(self, tmp_path: Path) -> None:
        for history in (False, True):
            store = SqliteStore(tmp_path / str(history), history=history)
            await store.add([mine("m1", "hello")])
            await store.apply([Sent(ASHA, "m1", 5)])
            (kept,) = await store.add([mine("m1", "hello")])
            assert (kept.state, kept.text, kept.timestamp) == ("sent", "hello", 5)
            assert (await store.add([mine("m1", "another")]))[0].text != "another"
            await store.close()

    async def test_what_is_older_than_a_month_is_forgotten_by_the_servers_clock(self, tmp_path: Path) -> None:
        for history in (False, True):
            store = SqliteStore(tmp_path / str(history), history=history)
            old, new = theirs("old", 1), theirs("new", 31 * DAY_MS)
            await store.add([mine("waits")])
            await store.apply([Chat(old), Chat(new)])
            await store.load()
            assert await store.unknown([old, new]) == ([] if history else [old])
            assert [message.id for message in (await store.load()).waiting] == ["waits"]
            await store.close()

    async def test_history_conversations_and_search(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me", history=True)
        await store.apply([Chat(theirs(f"c{place}", place, f"text {place}")) for place in range(1, 6)])
        await store.apply([OwnChat(replace(mine("o1", "in between"), state="sent", timestamp=3, stream_id="9-0"))])
        await store.apply([Chat(theirs("b1", 0, "50% off_", BEN)), Receipt(BEN, ("to come",), "delivered", 99)])
        await store.apply([Read(ASHA, ("c1", "c2"), "here")])
        latest = await store.messages_with(ASHA, limit=3)
        assert [message.id for message in latest] == ["o1", "c4", "c5"]
        assert [message.id for message in await store.messages_with(ASHA, before=latest[0])] == ["c1", "c2", "c3"]
        assert [(each.peer, each.last.id, each.unread) for each in await store.conversations()] == [
            (ASHA, "c5", 3),
            (BEN, "b1", 1),
        ]
        assert [message.id for message in await store.search("TEXT", limit=2)] == ["c5", "c4"]
        assert [message.id for message in await store.search("% off_")] == ["b1"]
        assert await store.search("t_xt") == []
        await store.close()

    async def test_a_file_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "me") as db:
            db.execute("PRAGMA user_version = 99")
        store = SqliteStore(tmp_path / "me")
        with pytest.raises(StoreMismatch, match="version 99"):
            await store.load()
        await store.close()

    async def test_a_full_disk_is_said_and_what_was_kept_before_stays(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me")
        await store.add([mine("m1")])
        await store._do(lambda db: db.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(StoreError, match=r"me cannot be used: database or disk is full\. Make room"):
            await store.add([mine("m2", "x" * 10_000)])
        await store._do(lambda db: db.execute("PRAGMA max_page_count = 100000"))
        await store.add([mine("m3")])
        assert (await store.load()).waiting == [mine("m1"), mine("m3")]
        await store.close()

    @pytest.mark.parametrize(
        ("path", "says"), [("me", "file is not a database. Something else is in this file"), ("no/me", "No such file")]
    )
    async def test_what_cannot_be_opened_is_said(self, tmp_path: Path, path: str, says: str) -> None:
        (tmp_path / "me").write_text("Dear diary, " * 100)
        store = SqliteStore(tmp_path / path)
        with warnings.catch_warnings(action="error"), pytest.raises(StoreError, match=f"{path} cannot be used: {says}"):
            await store.load()
        if path == "no/me":
            with pytest.raises(StoreError, match="lock cannot be used"):
                await store.locked(store.load)
        await store.close()
        gc.collect()  # a connection that was left open would warn

    async def test_it_may_be_asked_while_it_is_closed(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me")
        for number in range(20):
            asked = [store.add([mine(f"m{number}")]), store.close(), store.load(), store.close(), store.load()]
            await asyncio.gather(*asked)
        assert len((await store.load()).waiting) == 20
        await store.close()

    async def test_who_waits_for_the_lock_may_be_cancelled(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me")
        for seconds in (0, 0.001, 0.002, 0.01):
            waiting = asyncio.ensure_future(store.locked(lambda: asyncio.sleep(3600)))
            await asyncio.sleep(seconds)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert (await asyncio.wait_for(store.locked(store.load), 10)).session is None
        await store.close()

    async def test_a_bot_that_runs_for_years_forgets_as_it_goes(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "me")
        for day in range(0, 400, 2):
            await store.apply([Chat(replace(theirs(f"m{day}", day), timestamp=1_000_000 + day * DAY_MS))])
        assert await store._do(lambda db: db.execute("SELECT count(*) FROM messages").fetchone()[0]) <= 17
        await store.close()

    async def test_the_lock_holds_between_processes_and_ends_with_one_that_dies(self, tmp_path: Path) -> None:
        holder = hold(tmp_path / "me")
        store = SqliteStore(tmp_path / "me")
        try:
            assert holder.stdout is not None
            assert await asyncio.to_thread(holder.stdout.readline) == b"locked\n"
            waiting = asyncio.ensure_future(store.locked(store.load))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await store.save_epoch("e1")  # the lock is for refreshes: messages go on
            holder.kill()
            assert (await asyncio.wait_for(waiting, 10)).epoch == "e1"
        finally:
            holder.kill()
            holder.communicate()
            await store.close()


def modes(folder: Path) -> dict[str, int]:
    """Who may do what with each file."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def hold(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the lock, and says so."""
    return subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)


PRAGMAS = ("journal_mode", "synchronous", "user_version")
HOLDER = """
import asyncio, sys
sys.path.insert(0, "clients/python/src")
from whatsapp_mini import SqliteStore
async def hold():
    print("locked", flush=True)
    await asyncio.sleep(60)
asyncio.run(SqliteStore(sys.argv[1]).locked(hold))
"""
