"""What a session tells others, and its client, where somebody hides something."""

from collections.abc import Sequence

import pytest

from delivery.policy import Side
from delivery.results import Claimed, CommandFailed, NotCached, Renewed
from delivery.session import effects as do
from protocol.dialects import V1, Seed
from protocol.entries import Receipt
from protocol.errors import ApiError
from protocol.privacy import OPEN, Privacy
from tests.support.messaging import ASHA
from tests.support.sessions import DrivenSession, chat_entry, unread

SILENT = Privacy(read_receipts=False)
NO_STRANGERS = Privacy(stranger_receipts=False)
NEITHER = Privacy(read_receipts=False, stranger_receipts=False)


def read(driven: DrivenSession, side: Side, names: Sequence[str], unacknowledged: Sequence[str]) -> None:
    """The client read m-1 and m-2; this is what Redis says of them."""
    driven.message({"type": "ack", "ackType": "read", "to": ASHA, "messageIds": ["m-1", "m-2"]})
    driven.reply(driven.one(do.FindUnread), unread(*names, unacknowledged=unacknowledged, side=side))


@pytest.mark.parametrize("side", [Side(SILENT), Side(SILENT, is_contact=True), Side(NEITHER, is_contact=True)])
def test_who_hides_what_they_read_tells_delivered_where_nothing_was_told(side: Side) -> None:
    driven = DrivenSession().follow()
    read(driven, side, ["m-1", "m-2"], ["m-2"])
    told = driven.one(do.SendReceipt)
    assert (told.kind, told.tells, told.message_ids, told.ids) == ("read", "delivered", ["m-2"], ["m-1", "m-2"])
    assert told.stream_ids == ["5-1"]
    assert driven.take(do.MarkRead) == [], "first the receipt"
    driven.reply(told, None)
    assert driven.one(do.MarkRead).message_ids == ["m-1", "m-2"]


def test_who_hides_what_they_read_tells_nothing_of_what_was_delivered_before() -> None:
    driven = DrivenSession().follow()
    read(driven, Side(SILENT), ["m-1", "m-2"], [])
    assert driven.kinds() == ["MarkRead"]


def test_a_stranger_is_told_of_no_reading() -> None:
    driven = DrivenSession().follow()
    read(driven, Side(NO_STRANGERS), ["m-1"], ["m-1"])
    assert driven.kinds() == ["MarkRead"]


def test_who_hides_nothing_tells_what_they_read() -> None:
    driven = DrivenSession().follow()
    read(driven, Side(), ["m-1", "m-2"], [])
    told = driven.one(do.SendReceipt)
    assert (told.kind, told.tells, told.message_ids) == ("read", "read", ["m-1", "m-2"])


# ---- receipts to strangers


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(
    ("side", "tells"),
    [(Side(NO_STRANGERS), False), (Side(NO_STRANGERS, is_contact=True), True), (Side(OPEN), True)],
)
def test_where_strangers_get_no_receipts_it_is_looked_up_who_is_one(side: Side, tells: bool, devices: int) -> None:
    driven = DrivenSession().follow(devices=devices)
    driven.session.change_privacy(NO_STRANGERS)
    driven.ack(*driven.deliver(chat_entry(1)))
    find = driven.one(do.FindSide)
    assert (find.sender, driven.take(do.SendReceipt), driven.take(do.NoteDelivered)) == (ASHA, [], [])
    driven.reply(find, side)
    if tells and devices == 2:
        driven.reply(driven.one(do.NoteDelivered), [])
    receipts = driven.take(do.SendReceipt)
    assert [each.message_ids for each in receipts] == ([["m-1"]] if tells else [])
    for each in receipts:
        driven.reply(each, None)
    driven.now += 1
    driven.session.timer(driven.now)
    assert [entry.stream_id for entry in driven.one(do.Settle).settled] == ["5-1"]


@pytest.mark.parametrize("failure", [ApiError("unavailable"), CommandFailed("ERR")])
def test_if_that_cannot_be_looked_up_the_ack_is_refused(failure: Exception) -> None:
    driven = DrivenSession().follow()
    driven.session.change_privacy(NO_STRANGERS)
    driven.ack(*driven.deliver(chat_entry(1)))
    driven.reply(driven.one(do.FindSide), failure)
    assert [(f["type"], f["streamIds"]) for f in driven.sent()] == [("error", ["5-1"])]
    assert (driven.take(do.Settle), driven.session.in_hand) == ([], 0)


def test_who_hides_nothing_looks_nothing_up() -> None:
    driven = DrivenSession().follow()
    driven.session.change_privacy(SILENT)
    driven.ack(*driven.deliver(chat_entry(1)))
    assert driven.take(do.FindSide) == []
    told = driven.one(do.SendReceipt)
    driven.reply(told, NotCached())
    assert driven.one(do.LoadUser).mobile == ASHA


# ---- receipts of others


@pytest.mark.parametrize("dialect", [V1(), Seed()])
@pytest.mark.parametrize(
    ("privacy", "shown"), [(OPEN, "read"), (NO_STRANGERS, "read"), (SILENT, "delivered"), (NEITHER, "delivered")]
)
def test_who_hides_what_they_read_does_not_see_what_others_read(
    dialect: V1 | Seed, privacy: Privacy, shown: str
) -> None:
    driven = DrivenSession(dialect).follow()
    driven.session.change_privacy(privacy)
    driven.session.notify("5-3", driven.now)
    kinds = ["read", "delivered", "expired"]
    driven.fetched(*(Receipt(f"5-{n}", ASHA, kind, [f"m-{n}"]) for n, kind in enumerate(kinds, 1)))
    assert [f["ackType"] for f in driven.sent()] == [shown, "delivered", "expired"]


# ---- where a session knows it from


def test_a_claim_a_renewal_and_a_new_claim_say_what_the_user_hides() -> None:
    driven = DrivenSession()
    driven.reply(driven.one(do.ClaimLease), Claimed("epoch-1", None, "", 1, SILENT))
    assert driven.session._privacy == driven.session._reader.privacy == SILENT
    for result, privacy in ((Renewed("ok", "", NO_STRANGERS), NO_STRANGERS), (ApiError("unavailable"), NO_STRANGERS)):
        driven.now += 30
        driven.session.last_sign_of_life = driven.now
        driven.session.tick(driven.now)
        driven.reply(driven.one(do.RenewLease), result)
        assert driven.session._privacy == driven.session._reader.privacy == privacy
    driven.now += 30
    driven.session.last_sign_of_life = driven.now
    driven.session.tick(driven.now)
    driven.reply(driven.one(do.RenewLease), Renewed("gone"))
    driven.reply(driven.one(do.ClaimLease), Claimed("epoch-1", None, "", 1, NEITHER))
    assert driven.session._privacy == driven.session._reader.privacy == NEITHER
