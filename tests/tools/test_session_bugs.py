"""A session with a bug changes effects and replies as it says."""

from typing import Any

import pytest

from delivery.in_flight import ToSettle
from delivery.results import FIRST_ENTRY, Claimed, Fetched, Renewed
from delivery.session import effects as do
from protocol.dialects import V1, Seed
from protocol.entries import Chat, Entry, Receipt
from protocol.errors import ApiError
from protocol.token_bucket import TokenBucket
from tests.support.messaging import ASHA, RAVI, make_settings
from tools import session_bugs

NOW = 1000.0
CHAT = Chat("5-1", ASHA, "m-1", "hello")
RECEIPT = Receipt("5-2", ASHA, "delivered", ["x-1"])


def make(kind: type[session_bugs.TamperedSession], dialect: V1 | Seed | None = None) -> session_bugs.TamperedSession:
    """Ravi's session, whose lease is claimed and whose mailbox was scanned."""
    settings = make_settings()
    bucket = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, NOW)
    session = kind(RAVI, "primary", dialect or V1(), settings, str, None, bucket, NOW)
    (claim,) = take(session)
    session.reply(claim, Claimed("epoch-1", None, "", 1), NOW)
    answer(session)
    answer(session)
    take(session)
    return session


def take(session: session_bugs.TamperedSession) -> list[do.Effect]:
    """What the shell would take."""
    taken, session.effects = session.effects, []
    return taken


def answer(session: session_bugs.TamperedSession, *entries: Entry, mode: str = "") -> list[do.Effect]:
    """Reply to the fetch that is under way; everything else that was emitted."""
    taken = take(session)
    for fetch in [each for each in taken if isinstance(each, do.FetchEntries) and mode in ("", each.mode)]:
        session.reply(fetch, Fetched("ok", FIRST_ENTRY, len(entries), list(entries)), NOW)
    return taken


def deliver(session: session_bugs.TamperedSession, *entries: Entry) -> list[do.Effect]:
    session.notify(entries[-1].stream_id, NOW)
    answer(session, *entries)
    return take(session)


def acknowledge(session: session_bugs.TamperedSession) -> list[do.Effect]:
    deliver(session, CHAT)
    session.message('{"type": "ack", "ackType": "delivered", "streamIds": ["5-1"]}', NOW)
    session.batch_end(NOW)
    return take(session)


def test_without_a_bug_nothing_is_changed() -> None:
    (receipt,) = acknowledge(make(session_bugs.TamperedSession))
    assert isinstance(receipt, do.SendReceipt)


@pytest.mark.parametrize("result", [None, ApiError("unavailable")])
def test_entries_are_settled_before_their_receipt_which_a_failure_prevents(result: Any) -> None:
    session = make(session_bugs.SettledBeforeReceipt)
    (settle,) = acknowledge(session)
    assert isinstance(settle, do.Settle)
    assert settle.settled == [ToSettle("5-1", ASHA, CHAT.size)]
    session.reply(settle, result, NOW)
    receipts = [each for each in take(session) if isinstance(each, do.SendReceipt)]
    assert len(receipts) == (result is None)


def test_what_is_sent_is_settled_and_the_session_does_not_see_the_reply() -> None:
    session = make(session_bugs.SettledWhenSent)
    send, settle = deliver(session, CHAT, RECEIPT)
    assert isinstance(send, do.SendEntries)
    assert isinstance(settle, do.Settle)
    assert [each.stream_id for each in settle.settled] == ["5-1"]
    session.reply(settle, ApiError("unavailable"), NOW)
    assert not take(session)


def test_a_ping_that_is_sent_settles_the_receipts_before_it() -> None:
    session = make(session_bugs.ConfirmedWhenSent, Seed())
    (ping,) = [each for each in deliver(session, CHAT, RECEIPT) if isinstance(each, do.Ping)]
    session.reply(ping, 1, NOW)
    session.timer(session.deadline)
    (settle,) = [each for each in take(session) if isinstance(each, do.Settle)]
    assert [each.stream_id for each in settle.settled] == ["5-2"]


def test_pending_entries_are_dropped() -> None:
    session = make(session_bugs.PendingForgotten)
    session.notify("", NOW)
    answer(session, CHAT)
    assert not [each for each in take(session) if isinstance(each, do.SendEntries)]


def test_sent_comes_before_the_chat_is_stored_and_not_again() -> None:
    session = make(session_bugs.SentBeforeStored)
    session.message(f'{{"type": "chat", "to": "{ASHA}", "messageId": "m-1", "message": "hello"}}', NOW)
    session.batch_end(NOW)
    sent, store = take(session)
    assert isinstance(sent, do.SendFrames)
    assert b"m-1" in sent.frames[0]
    session.reply(store, ["5-1"], NOW)
    assert not [each for each in take(session) if isinstance(each, do.SendFrames)]


def test_chats_are_stored_one_by_one_in_the_wrong_order_and_answered_together() -> None:
    session = make(session_bugs.StoredAtOnce)
    for n in range(3):
        session.message(f'{{"type": "chat", "to": "{ASHA}", "messageId": "m-{n}", "message": "hello"}}', NOW)
    session.batch_end(NOW)
    stores = take(session)
    assert [each.chats[0][0] for each in stores if isinstance(each, do.StoreChats)] == ["m-2", "m-1", "m-0"]
    for n, store in enumerate(stores):
        assert not take(session)
        session.reply(store, [f"5-{n}"], NOW)
    (sent,) = [each for each in take(session) if isinstance(each, do.SendFrames)]
    assert [b"m-%d" % n in frame for n, frame in enumerate(sent.frames)] == [True] * 3


def test_a_client_that_names_a_chat_is_believed_until_the_end() -> None:
    session = make(session_bugs.AcksBelieved)
    ack = f'{{"type": "ack", "ackType": "delivered", "to": "{ASHA}", "messageId": "m-9"}}'
    session.message(ack, NOW)
    (receipt,) = [each for each in take(session) if isinstance(each, do.SendReceipt)]
    assert (receipt.sender, receipt.message_ids) == (ASHA, ["m-9"])
    session.reply(receipt, ApiError("unavailable"), NOW)
    session.lost(1006, "", NOW)
    session.message(ack, NOW)
    assert not [each for each in take(session) if isinstance(each, (do.SendFrames, do.SendReceipt))]


def test_what_is_not_settled_makes_room_all_the_same() -> None:
    session = make(session_bugs.SettleForgotten)
    (receipt,) = acknowledge(session)
    session.reply(receipt, None, NOW)
    session.timer(session.deadline)
    (settle,) = [each for each in take(session) if isinstance(each, do.Settle)]
    assert settle.settled == []
    session.reply(settle, None, NOW)
    assert settle.settled == [ToSettle("5-1", ASHA, CHAT.size)]


def test_nothing_is_fetched_for_a_notification_or_a_renewal() -> None:
    session = make(session_bugs.NotificationsIgnored)
    session.notify("5-1", NOW)
    session.prefetch(NOW)
    session.last_sign_of_life = NOW + 100
    session.tick(NOW + 100)
    (renew,) = take(session)
    session.reply(renew, Renewed("ok", "5-1"), NOW + 100)
    assert not take(session)


def test_the_orders_of_the_lease_are_broken() -> None:
    settings = make_settings()
    bucket = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, NOW)
    fetch, claim = take(session_bugs.FetchedBeforeClaim(RAVI, "primary", V1(), settings, str, None, bucket, NOW))
    assert isinstance(fetch, do.FetchEntries)
    assert isinstance(claim, do.ClaimLease)
    session = make(session_bugs.LeftBeforeRelease)
    session.lost(1006, "", NOW)
    leave, release = take(session)
    assert isinstance(leave, do.LeaveHub)
    session.reply(release, None, NOW)
    assert not [each for each in take(session) if isinstance(each, do.LeaveHub)]


@pytest.mark.parametrize(
    ("kind", "lives", "renewals"),
    [
        (session_bugs.TamperedSession, True, 1),
        (session_bugs.TamperedSession, False, 0),
        (session_bugs.RenewalForgotten, True, 0),
        (session_bugs.TcpIsLife, False, 1),
    ],
)
def test_a_lease_is_renewed(kind: type[session_bugs.TamperedSession], lives: bool, renewals: int) -> None:
    session = make(kind)
    if lives:
        session.last_sign_of_life = NOW + 100
    session.tick(NOW + 100)
    assert len([each for each in take(session) if isinstance(each, do.RenewLease)]) == renewals


def test_settings_are_changed() -> None:
    session = make(session_bugs.NoWindow)
    chats = [Chat(f"5-{n}", ASHA, f"m-{n}", "hello") for n in range(1, 400)]
    assert len(chats) > make_settings().window
    session.notify(chats[-1].stream_id, NOW)
    emitted = [each for start in range(0, len(chats), 64) for each in answer(session, *chats[start : start + 64])]
    emitted += take(session)
    assert sum(len(each.frames) for each in emitted if isinstance(each, do.SendEntries)) == len(chats)


def test_an_epoch_stays_as_it_was() -> None:
    session = make(session_bugs.EpochUntold)
    session.last_sign_of_life = NOW + 100
    session.tick(NOW + 100)
    (renew,) = take(session)
    session.reply(renew, Renewed("gone"), NOW + 100)
    (claim,) = take(session)
    session.reply(claim, Claimed("epoch-2", None, "", 1), NOW + 100)
    assert not [each for each in take(session) if isinstance(each, do.SendEntries)]
