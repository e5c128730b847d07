"""The journey: which effects follow which inputs, in which order. No Redis, no loop; time is a number."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from delivery.in_flight import BEAT_SECONDS, NEVER, SETTLE_SECONDS, on_beat
from delivery.results import Claimed, CommandFailed, NotCached, Renewed, Silent, Superseded, Unproven
from delivery.session import effects as do
from delivery.session.lease import PROOF_SECONDS
from delivery.session.session import CHARACTERS_IN_HAND, IN_HAND, Session
from protocol.dialects import V1, Seed
from protocol.errors import LOGGED_OUT, REPLACED, ApiError
from tests.support.messaging import ASHA, EVE, RAVI
from tests.support.sessions import DrivenSession, chat_entry, chat_frame, receipt_entry, unread

AWAY = ApiError("unavailable")


def closed(driven: DrivenSession) -> int:
    return driven.one(do.CloseSocket).close.code


def leave(driven: DrivenSession) -> None:
    """The end as the shell knows it."""
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.session.left
    assert driven.kinds()[:1] == ["LeaveHub"]


# ---- chats


def test_a_chat_is_stored_and_only_then_answered_with_its_time() -> None:
    driven = DrivenSession().follow()
    assert driven.answers(chat_frame()) == []
    store = driven.one(do.StoreChats)
    assert (store.to, store.chats, driven.session.in_hand) == (ASHA, [("m-1", "hello")], 1)
    driven.reply(store, ["1234-5"])
    assert driven.sent() == [{"type": "sent", "messageId": "m-1", "to": ASHA, "timestamp": 1234}]
    assert driven.session.in_hand == 0


def test_nothing_is_stored_before_the_batch_ends() -> None:
    driven = DrivenSession().follow()
    for n in range(3):
        driven.message(chat_frame(f"m-{n}"), batch=False)
    assert driven.effects == []
    driven.session.batch_end(driven.now)
    assert len(driven.one(do.StoreChats).chats) == 3


def test_a_recipient_that_redis_does_not_hold_is_loaded_and_the_chats_are_stored_again() -> None:
    driven = DrivenSession().follow()
    driven.message(chat_frame())
    store = driven.one(do.StoreChats)
    driven.reply(store, NotCached())
    load = driven.one(do.LoadUser)
    assert load.mobile == ASHA
    driven.message(chat_frame("m-2"))
    assert driven.effects == [], "the pair stays in order"
    driven.reply(load, None)
    assert driven.one(do.StoreChats) is store
    driven.reply(store, NotCached())
    (first, second) = driven.sent()
    assert (first["code"], second["code"], driven.session.in_hand) == ("unavailable", "unavailable", 0)


def test_chats_to_nobody_are_refused_by_name() -> None:
    driven = DrivenSession().follow()
    driven.message(chat_frame())
    driven.reply(driven.one(do.StoreChats), NotCached())
    driven.reply(driven.one(do.LoadUser), ApiError("no_such_person"))
    (answer,) = driven.sent()
    assert (answer["code"], answer["messageId"], answer["to"]) == ("no_such_person", "m-1", ASHA)


def test_a_script_that_fails_for_one_recipient_is_an_internal_error_for_these_chats() -> None:
    driven = DrivenSession().follow()
    driven.message(chat_frame())
    driven.message(chat_frame("m-2"))
    driven.reply(driven.one(do.StoreChats), CommandFailed("WRONGTYPE"))
    (answer,) = driven.sent()
    assert (answer["code"], answer["messageId"], driven.session.ended) == ("internal", "m-1", False)
    assert driven.one(do.StoreChats).chats == [("m-2", "hello")]


def test_what_is_in_hand_is_bounded_by_number_and_by_length() -> None:
    for count, message in ((IN_HAND, "hello"), (CHARACTERS_IN_HAND // 16_000 + 1, "x" * 16_000)):
        driven = DrivenSession().follow()
        for n in range(count):
            assert not driven.session.is_full
            driven.message(chat_frame(f"m-{n}", message=message))
        assert driven.session.is_full
        store = driven.one(do.StoreChats)
        driven.reply(store, ["5-1"] * len(store.chats))
        assert "ResumeReading" in driven.kinds()


# ---- acknowledgements: the receipt is stored, and only then the entry is settled


def test_a_receipt_is_stored_before_its_entry_is_settled() -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1), chat_entry(2))
    driven.ack(ids[0], ids[0], "9-9")
    receipt = driven.one(do.SendReceipt)
    assert (receipt.sender, receipt.kind, receipt.message_ids) == (ASHA, "delivered", ["m-1"])
    driven.wait(10)
    assert driven.take(do.Settle) == [], "its sender does not know"
    driven.reply(receipt, None)
    driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    settle = driven.one(do.Settle)
    assert [entry.stream_id for entry in settle.settled] == ids[:1]
    driven.reply(settle, None)
    driven.ack(*ids[:1])
    assert driven.kinds() == ["ResumeReading"], "again is a silent no-op"


def test_settlements_go_along_with_the_next_fetch() -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1))
    driven.ack(*ids)
    driven.reply(driven.one(do.SendReceipt), None)
    driven.session.notify("5-2", driven.now)
    fetch = driven.one(do.FetchEntries)
    assert [entry.stream_id for entry in fetch.settled] == ids
    driven.reply(fetch, AWAY)
    driven.wait(10)
    assert [entry.stream_id for entry in driven.one(do.FetchEntries).settled] == ids, "put back when it failed"


@pytest.mark.parametrize(("error", "code"), [(AWAY, "unavailable"), (CommandFailed("WRONGTYPE"), "internal")])
def test_a_receipt_that_fails_is_refused_and_settles_nothing(error: Exception, code: str) -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1))
    driven.ack(*ids)
    driven.reply(driven.one(do.SendReceipt), error)
    (answer,) = driven.sent()
    assert (answer["code"], answer["component"], answer["streamIds"]) == (code, "ack", ids)
    driven.wait(10)
    assert driven.take(do.Settle) == []
    driven.ack(*ids)
    # With a broken key it comes again on the next connection, and takes no room until then.
    assert len(driven.take(do.SendReceipt)) == (1 if code == "unavailable" else 0)


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
@pytest.mark.parametrize("kind", ["delivered", "read"])
def test_a_chat_comes_again_for_as_long_as_its_sender_cannot_be_told(dialect: V1 | Seed, kind: str) -> None:
    driven = DrivenSession(dialect, redeliver_seconds=30, redeliver_times=2).follow()
    (stream_id,) = driven.deliver(chat_entry(1))
    for _ in range(6):
        driven.message({"type": "ack", "ackType": kind, "to": ASHA, "from": RAVI, "messageId": "m-1"})
        driven.reply(driven.one(do.SendReceipt if kind == "delivered" else do.FindUnread), AWAY)
        driven.now += 31
        driven.session.tick(driven.now)
        assert driven.effects[-1].ids == [stream_id]
        driven.fetched(chat_entry(1))
        assert driven.sent()[-1]["type"] == "chat"


def test_a_sender_whose_account_is_gone_needs_no_receipt() -> None:
    driven = DrivenSession().follow()
    driven.ack(*driven.deliver(chat_entry(1)))
    driven.reply(driven.one(do.SendReceipt), NotCached())
    driven.reply(driven.one(do.LoadUser), ApiError("no_such_person"))
    driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    assert len(driven.one(do.Settle).settled) == 1


def test_a_receipt_begets_no_receipt() -> None:
    driven = DrivenSession().follow()
    driven.ack(*driven.deliver(receipt_entry(1)))
    driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    assert driven.kinds() == ["Settle"]


def test_acknowledgements_by_sender_and_message_ids() -> None:
    driven = DrivenSession().follow()
    driven.deliver(chat_entry(1), chat_entry(2), chat_entry(3, sender=EVE))
    driven.message({"type": "ack", "ackType": "delivered", "to": ASHA, "messageIds": ["m-2", "m-3", "m-2"]})
    assert driven.one(do.SendReceipt).ids == ["5-2"]


def test_settling_is_tried_again_but_not_at_the_end() -> None:
    driven = DrivenSession().follow()
    driven.ack(*driven.deliver(receipt_entry(1)))
    driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    driven.reply(driven.one(do.Settle), AWAY)
    driven.wait(1)
    settle = driven.one(do.Settle)
    driven.session.lost(1006, "", driven.now)
    driven.reply(settle, AWAY)
    leave(driven)


# ---- reads


def test_a_read_is_found_then_told_then_marked() -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1), chat_entry(2))
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageIds": ["m-1", "m-2"]})
    driven.reply(driven.one(do.FindUnread), unread("m-1"))
    receipt = driven.one(do.SendReceipt)
    assert (receipt.kind, receipt.message_ids, receipt.stream_ids) == ("read", ["m-1"], ["5-0"])
    assert driven.take(do.MarkRead) == [], "its sender does not know"
    driven.reply(receipt, None)
    mark = driven.one(do.MarkRead)
    assert mark.message_ids == ["m-1", "m-2"], "what another device has marked is settled here all the same"
    driven.reply(mark, ids)
    assert driven.session.in_hand == 0


def test_a_read_of_nothing_unread_is_marked_without_a_receipt() -> None:
    driven = DrivenSession().follow()
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageId": "m-1"})
    driven.reply(driven.one(do.FindUnread), unread())
    driven.reply(driven.one(do.MarkRead), [])
    assert (driven.take(do.SendReceipt), driven.session.in_hand) == ([], 0)


@pytest.mark.parametrize("step", ["find", "receipt", "mark"])
def test_a_read_that_fails_at_any_step_is_refused(step: str) -> None:
    driven = DrivenSession().follow()
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageId": "m-1"})
    driven.reply(driven.one(do.FindUnread), AWAY if step == "find" else unread("m-1"))
    if step != "find":
        driven.reply(driven.one(do.SendReceipt), AWAY if step == "receipt" else None)
    if step == "mark":
        driven.reply(driven.one(do.MarkRead), AWAY)
    (answer,) = driven.sent()
    assert (answer["code"], answer["messageIds"], driven.session.in_hand) == ("unavailable", ["m-1"], 0)
    assert driven.take(do.MarkRead) == []


def test_with_several_devices_a_chat_is_told_of_only_if_its_sender_knows_less() -> None:
    driven = DrivenSession().follow(devices=2)
    driven.ack(*driven.deliver(chat_entry(1), chat_entry(2)))
    driven.reply(driven.one(do.NoteDelivered), ["m-1"])
    receipt = driven.one(do.SendReceipt)
    assert (receipt.message_ids, receipt.stream_ids) == (["m-2"], ["5-2"])
    driven = DrivenSession().follow(devices=2)
    driven.ack(*driven.deliver(chat_entry(1)))
    driven.reply(driven.one(do.NoteDelivered), ["m-1"])
    driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    assert driven.kinds() == ["ResumeReading", "Settle"]


def test_with_several_devices_a_read_is_noted_behind_its_receipt_and_before_its_mark() -> None:
    """Noted before it, a server that ends in between would keep back the receipt of every other device."""
    driven = DrivenSession().follow(devices=2)
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageId": "m-1"})
    driven.reply(driven.one(do.FindUnread), unread("m-1"))
    assert driven.kinds() == ["SendReceipt", "NoteDelivered"]
    receipt, note = driven.one(do.SendReceipt), driven.one(do.NoteDelivered)
    assert (receipt.kind, note.state) == ("read", "d")
    driven.reply(note, ["m-1"])
    assert driven.effects == []
    driven.reply(receipt, None)
    assert driven.one(do.MarkRead).message_ids == ["m-1"]


# ---- entries


def test_entries_wait_while_the_client_does_not_read() -> None:
    driven = DrivenSession(Seed()).follow()
    driven.deliver(receipt_entry(1))
    driven.reply(driven.one(do.Ping), 1)
    driven.session.pause_output()
    driven.session.notify("5-2", driven.now)
    driven.session.pong(1, driven.now)
    assert driven.take(do.FetchEntries) == []
    driven.session.resume_output(driven.now)
    assert len(driven.take(do.FetchEntries)) == 1


def test_a_timer_that_waits_for_the_client_to_read_does_not_spin() -> None:
    driven = DrivenSession(Seed()).follow()
    driven.deliver(receipt_entry(1))
    driven.reply(driven.one(do.Ping), 1)
    driven.session.notify("5-2", driven.now)
    driven.fetched(receipt_entry(2))
    driven.session.pong(1, driven.now)
    driven.session.pause_output()
    driven.wait(10)
    assert driven.session.deadline > driven.now


def test_an_entry_that_cannot_be_encoded_is_counted() -> None:
    class Broken(V1):
        def chat(self, *_: Any) -> list[bytes]:
            raise ValueError("a bug")

    driven = DrivenSession(Broken(), park_after=2).follow()
    with capture_logs() as logs:
        driven.session.notify("5-1", driven.now)
        driven.fetched(chat_entry(1))
        failure = driven.one(do.CountFailure)
        driven.reply(failure, 1)
        driven.reply(failure, AWAY)
        driven.reply(failure, 2)
    assert failure.stream_id == "5-1"
    assert [line["event"] for line in logs][-1] == "an entry is a dead letter"
    assert not driven.session.ended


# ---- the lease: claimed before anything is fetched, released before the hub is left


def test_the_lease_is_claimed_before_anything_is_fetched() -> None:
    driven = DrivenSession()
    assert driven.kinds() == ["ClaimLease"]
    for _ in range(2):
        driven.session.notify("5-1", driven.now)
        driven.session.prefetch(driven.now)
        driven.session.tick(driven.now + 100)
    assert driven.kinds() == ["ClaimLease"]
    driven.claim("5-1")
    assert driven.kinds() == ["RecordEvent", "SendHello", "ResumeReading", "FetchEntries"]


def test_the_lease_is_released_before_the_hub_is_left() -> None:
    driven = DrivenSession().follow()
    driven.session.lost(1006, "gone", driven.now)
    assert driven.kinds() == ["ReleaseLease"]
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.kinds() == ["LeaveHub", "RecordEvent"]
    assert driven.one(do.RecordEvent).reason == "1006 gone"


def test_everything_under_way_ends_before_the_lease_is_released() -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1))
    driven.message(chat_frame())
    driven.ack(*ids)
    store, receipt = driven.one(do.StoreChats), driven.one(do.SendReceipt)
    driven.session.close(REPLACED, driven.now)
    assert (closed(driven), driven.take(do.ReleaseLease)) == (4508, [])
    driven.reply(store, ["5-9"])
    assert driven.take(do.ReleaseLease) == []
    driven.reply(receipt, None)
    settle = driven.one(do.Settle)
    driven.reply(settle, None)
    driven.take(do.Penalize), driven.sent(), driven.take(do.ResumeReading)
    leave(driven)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ApiError("too_many_devices"), 4504), (ApiError("session_revoked"), 4509), (AWAY, 4004), (ValueError(), 1011)],
)
def test_a_refused_claim_ends_the_connection_as_if_it_had_never_been(error: Exception, code: int) -> None:
    driven = DrivenSession()
    driven.message(chat_frame())
    driven.reply(driven.one(do.ClaimLease), error)
    assert closed(driven) == code
    assert driven.take(do.StoreChats) == []
    driven.take(do.ResumeReading)
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.kinds() == ["LeaveHub"], "nothing is recorded"


def test_a_proof_is_waited_for_and_then_the_claim_is_made_again() -> None:
    driven = DrivenSession()
    driven.session.prove()
    assert len(driven.effects) == 1, "nobody asked for one"
    driven.reply(driven.one(do.ClaimLease), Unproven())
    driven.reply(driven.one(do.Ping), 1)
    assert driven.session.is_proving
    driven.session.prove()
    claim = driven.one(do.ClaimLease)
    assert claim.mode == "proven"
    driven.reply(claim, Claimed("epoch-1", ("s2", "c2"), "", 1))
    assert driven.one(do.SendHello).epoch == "epoch-1"


@pytest.mark.parametrize("gone", ["silent", "lost", "lost while it was claimed"])
def test_without_a_proof_the_connection_ends_and_what_it_said_is_stored(gone: str) -> None:
    driven = DrivenSession()
    driven.message(chat_frame())
    claim = driven.one(do.ClaimLease)
    if gone == "lost while it was claimed":
        driven.session.lost(1006, "", driven.now)
    driven.reply(claim, Unproven())
    if gone == "lost":
        driven.session.lost(1006, "", driven.now)
    elif gone == "silent":
        driven.wait(PROOF_SECONDS)
        assert closed(driven) == 4003
    store = driven.one(do.StoreChats)
    assert driven.take(do.ReleaseLease) == []
    driven.reply(store, ["5-1"])
    copies = driven.one(do.StoreOwn)
    assert copies.store is store, "nobody knows yet whether there are other devices"
    driven.reply(copies, False)
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.session.left


def renew(driven: DrivenSession) -> do.RenewLease:
    driven.now += 20
    driven.session.last_sign_of_life = driven.now
    driven.session.tick(driven.now)
    return driven.one(do.RenewLease)


def test_a_renewal_tells_what_waits() -> None:
    driven = DrivenSession().follow()
    driven.reply(renew(driven), Renewed("ok", "5-1", devices=1))
    assert driven.one(do.FetchEntries).mode == "new"
    driven.session.tick(driven.now + 100)
    assert driven.take(do.RenewLease) == [], "silence renews nothing"


def test_a_lease_that_is_gone_is_claimed_again_and_pending_entries_are_scanned() -> None:
    driven = DrivenSession().follow()
    driven.reply(renew(driven), Renewed("gone"))
    claim = driven.one(do.ClaimLease)
    assert claim.mode == "again"
    driven.reply(claim, Claimed("epoch-1", None, "", 1))
    assert [frame["type"] for frame in driven.sent()] == []
    assert driven.one(do.FetchEntries).mode == "pending"


def test_a_claim_whose_reply_was_lost_is_made_again_for_it_may_have_been_executed() -> None:
    driven = DrivenSession().follow()
    driven.reply(renew(driven), Renewed("gone"))
    driven.reply(driven.one(do.ClaimLease), AWAY)
    driven.session.notify("5-1", driven.now)
    assert driven.take(do.FetchEntries) == [], "it might be of a mailbox that began anew"
    driven.now += 20
    driven.session.last_sign_of_life = driven.now
    driven.session.tick(driven.now)
    assert driven.take(do.RenewLease) == []
    claim = driven.one(do.ClaimLease)
    assert claim.mode == "again"
    driven.reply(claim, Claimed("epoch-2", None, "", 1))
    assert [frame["type"] for frame in driven.sent()] == ["resync"]
    assert driven.one(do.FetchEntries).mode == "pending"
    renew(driven)


def test_another_epoch_is_told_to_the_client() -> None:
    driven = DrivenSession().follow()
    driven.reply(renew(driven), Renewed("gone"))
    driven.reply(driven.one(do.ClaimLease), Claimed("epoch-2", None, "", 1))
    (frame,) = driven.sent()
    assert (frame["type"], frame["epoch"]) == ("resync", "epoch-2")


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Renewed("replaced"), 4508),
        (Superseded(), 4508),
        (ApiError("session_revoked"), 4509),
        (CommandFailed("WRONGTYPE"), 4004),
        (AWAY, None),
        (Silent(), None),
    ],
    ids=["replaced", "superseded", "revoked", "broken key", "away", "silent"],
)
def test_what_a_renewal_finds_out(result: Any, code: int | None) -> None:
    driven = DrivenSession().follow()
    renewal = renew(driven)
    if isinstance(result, Superseded | Silent):
        driven.reply(renewal, Renewed("gone"))
        driven.reply(driven.one(do.ClaimLease), result)
    else:
        driven.reply(renewal, result)
    assert [each.close.code for each in driven.take(do.CloseSocket)] == ([] if code is None else [code])
    if code is None:
        driven.now += 20
        driven.session.last_sign_of_life = driven.now
        driven.session.tick(driven.now)
        assert len(driven.take(do.RenewLease)) == 1, "the next sign of life tries again"


def test_a_lease_claimed_again_too_late_is_released_again() -> None:
    driven = DrivenSession().follow()
    driven.reply(renew(driven), Renewed("gone"))
    claim = driven.one(do.ClaimLease)
    driven.session.lost(1006, "", driven.now)
    first = driven.one(do.ReleaseLease)
    driven.reply(claim, Claimed("epoch-1", None, "", 1))
    second = driven.one(do.ReleaseLease)
    driven.reply(first, None)
    assert not driven.session.left
    driven.reply(second, None)
    assert driven.session.left


def test_a_lease_claimed_again_while_chats_are_stored_does_not_cut_the_end_short() -> None:
    driven = DrivenSession().follow()
    driven.message(chat_frame())
    store = driven.one(do.StoreChats)
    driven.reply(renew(driven), Renewed("gone"))
    claim = driven.one(do.ClaimLease)
    driven.session.lost(1006, "", driven.now)
    driven.reply(claim, Claimed("epoch-1", None, "", 1))
    assert driven.take(do.ReleaseLease) == []
    driven.reply(store, ["5-1"])
    driven.sent(), driven.take(do.ResumeReading)
    leave(driven)


def test_a_fetch_without_a_lease_finds_out_who_has_it() -> None:
    driven = DrivenSession().follow()
    driven.session.notify("5-1", driven.now)
    driven.fetched(verdict="gone")
    assert driven.kinds() == ["RenewLease"]


# ---- the end


@pytest.mark.parametrize("early", [True, False], ids=["before the lease is claimed", "after"])
def test_a_sender_who_may_speak_no_more_is_not_heard_though_they_spoke_before(early: bool) -> None:
    driven = DrivenSession() if early else DrivenSession().follow()
    claim = driven.take(do.ClaimLease)
    under_way = [] if early else [chat_frame("m-0")]
    for frame in under_way:
        driven.message(frame)
    store = driven.take(do.StoreChats)
    driven.message(chat_frame("m-1"), batch=False)
    driven.session.close(LOGGED_OUT, driven.now)
    for each in claim:
        driven.reply(each, Claimed("epoch-1", None, "", 1))
    for each in store:
        driven.reply(each, ["5-1"])
    assert driven.take(do.StoreChats) == []
    assert len(driven.take(do.ReleaseLease)) == 1


def test_a_drain_ends_with_an_error_that_says_when_to_come_back() -> None:
    driven = DrivenSession().follow()
    driven.message(chat_frame())
    driven.session.drain(0.5, driven.now)
    driven.message(chat_frame("m-2"))
    assert driven.take(do.CloseSocket) == []
    driven.reply(driven.one(do.StoreChats), ["5-1"])
    assert closed(driven) == 4012
    (sent, error) = driven.sent()
    assert (sent["messageId"], error["code"], error["retryAfter"]) == ("m-1", "draining", 0.5)
    driven.take(do.ResumeReading)
    leave(driven)


def test_only_the_first_close_counts_and_later_inputs_do_nothing() -> None:
    driven = DrivenSession().follow()
    driven.session.close(REPLACED, driven.now)
    driven.take(do.CloseSocket), driven.take(do.Penalize)
    leave(driven)
    driven.effects.clear()
    driven.session.close(LOGGED_OUT, driven.now)
    driven.session.drain(1.0, driven.now)
    driven.session.violation()
    driven.session.notify("5-1", driven.now)
    driven.session.prefetch(driven.now)
    driven.session.pong(1, driven.now)
    driven.session.tick(driven.now + 100)
    driven.session.lost(1000, "", driven.now)
    driven.message(chat_frame())
    assert (driven.effects, driven.session.deadline, driven.session.is_full) == ([], NEVER, False)


@pytest.mark.parametrize("kind", [do.StoreChats, do.SendReceipt, do.FetchEntries, do.FindUnread, do.Settle])
def test_a_failure_of_our_own_ends_the_connection_and_the_end_waits_for_nothing(kind: type[do.Effect]) -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1), receipt_entry(2))
    if kind is do.StoreChats:
        driven.message(chat_frame())
    elif kind is do.SendReceipt:
        driven.ack(ids[0])
    elif kind is do.FindUnread:
        driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageId": "m-1"})
    elif kind is do.FetchEntries:
        driven.session.notify("5-9", driven.now)
    else:
        driven.ack(ids[1])
        driven.wait(on_beat(SETTLE_SECONDS) + BEAT_SECONDS)
    with capture_logs() as logs:
        driven.reply(driven.one(kind), ValueError("a bug"))
    assert closed(driven) == 1011
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a connection failed"]
    driven.take(do.ResumeReading)
    leave(driven)


def test_a_failure_of_one_receipt_ends_the_round_whatever_becomes_of_the_others() -> None:
    driven = DrivenSession().follow()
    driven.ack(*driven.deliver(chat_entry(1), chat_entry(2, sender=EVE)))
    one, two = driven.take(do.SendReceipt)
    with capture_logs():
        driven.reply(one, ValueError("a bug"))
    driven.reply(two, None)
    driven.take(do.CloseSocket), driven.take(do.ResumeReading)
    for settle in driven.take(do.Settle):
        driven.reply(settle, None)
    assert len(driven.take(do.ReleaseLease)) == 1


def test_an_effect_without_a_reply_that_fails_ends_the_connection() -> None:
    driven = DrivenSession().follow()
    with capture_logs():
        driven.reply(do.SendFrames([]), ValueError("a bug"))
    assert closed(driven) == 1011


def test_every_effect_that_promises_a_reply_has_its_handler() -> None:
    effects = [kind for kind in vars(do).values() if isinstance(kind, type) and issubclass(kind, do.Effect)]
    promised = {kind for kind in effects if "Reply:" in (kind.__doc__ or "")}
    assert promised == set(Session._replies)


# ---- failures of our own, and rarer meetings


def shell_reply(driven: DrivenSession, effect: do.Effect, result: Any) -> None:
    """As the shell does it."""
    try:
        driven.reply(effect, result)
    except Exception as error:  # noqa: BLE001 - the session is told
        driven.session.fail(error, driven.now)


def test_a_reply_that_our_own_code_fails_on_does_not_hold_up_the_end() -> None:
    class Broken(V1):
        def sent(self, *_: Any) -> list[bytes]:
            raise ValueError("a bug")

    driven = DrivenSession(Broken()).follow()
    driven.message(chat_frame())
    driven.message(chat_frame("m-2"))
    store = driven.one(do.StoreChats)
    with capture_logs():
        shell_reply(driven, store, ["5-1"])
    assert driven.one(do.CloseSocket).close.code == 1011
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.session.left


def test_an_acknowledgement_that_our_own_code_fails_on_does_not_hold_up_the_end() -> None:
    class Broken(V1):
        def error(self, *_: Any) -> list[bytes]:
            raise ValueError("a bug")

    driven = DrivenSession(Broken()).follow()
    driven.ack(*driven.deliver(chat_entry(1)))
    with capture_logs():
        shell_reply(driven, driven.one(do.SendReceipt), AWAY)
    assert driven.one(do.CloseSocket).close.code == 1011
    driven.reply(driven.one(do.ReleaseLease), None)
    assert driven.session.left


@pytest.mark.parametrize("kind", ["release", "count", "note"])
def test_no_failure_of_our_own_is_swallowed(kind: str) -> None:
    driven = DrivenSession().follow(devices=2)
    effect: do.Effect
    if kind == "release":
        driven.session.lost(1006, "", driven.now)
        effect = driven.one(do.ReleaseLease)
    elif kind == "count":
        effect = do.CountFailure("5-1")
    else:
        driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageId": "m-1"})
        driven.reply(driven.one(do.FindUnread), unread("m-1"))
        effect = driven.one(do.NoteDelivered)
    with capture_logs() as logs:
        driven.reply(effect, ValueError("a bug"))
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a connection failed"]


def test_a_chat_that_is_read_is_not_told_to_be_delivered_afterwards() -> None:
    driven = DrivenSession().follow()
    ids = driven.deliver(chat_entry(1))
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageIds": ["m-1"]})
    driven.reply(driven.one(do.FindUnread), unread("m-1"))
    driven.ack(*ids)
    driven.reply(driven.one(do.SendReceipt), None)
    driven.reply(driven.one(do.MarkRead), ids)
    driven.wait(1)
    assert driven.take(do.SendReceipt) == []
    assert driven.session.in_hand == 0


def test_bad_frames_of_a_client_that_was_closed_for_another_reason_are_no_violation() -> None:
    driven = DrivenSession(bad_frames_per_minute=2)
    for _ in range(3):
        driven.message("{")
    claim = driven.one(do.ClaimLease)
    driven.session.lost(1006, "", driven.now)
    driven.reply(claim, Claimed("epoch-1", None, "", 1))
    assert driven.take(do.Penalize) == []


def test_room_that_a_broken_key_left_is_used() -> None:
    driven = DrivenSession(window=2).follow()
    ids = driven.deliver(chat_entry(1), chat_entry(2))
    driven.session.notify("5-3", driven.now)
    assert driven.take(do.FetchEntries) == []
    driven.ack(*ids)
    driven.reply(driven.one(do.SendReceipt), CommandFailed("WRONGTYPE"))
    assert len(driven.take(do.FetchEntries)) == 1
