"""I4: every tick is true, and every ack makes its tick."""

from collections.abc import Iterator, Sequence

from tools.chaos.checker.chats import Excuses, excuses
from tools.chaos.checker.circumstances import meets
from tools.chaos.checker.fates import Fate, Key, acks_of, fates
from tools.chaos.checker.report import USUAL, Limits, Violation
from tools.chaos.history import Event

Acks = dict[tuple[str, str], Event]


def i4_receipts(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """No receipt without the addressee's ack before it; no ``expired`` after a delivery was told; when all is drained,
    every ack has made its receipt. Allowed to be missing: the reader's block of the sender stood, or may have, after
    the chat came; storage lost something of either, and told."""
    acks, excused = acks_of(history), excuses(history)
    found = []
    for key, fate in fates(history).items():
        found += [*_untrue(key, fate, acks), *_backwards(key, fate), *_owed(key, fate, acks, excused)]
    return found


def _acked(key: Key, fate: Fate, acks: Acks) -> list[Event]:
    """What says that the addressee has it, in order."""
    named = {
        acks[key.recipient, copy.stream_id].n: acks[key.recipient, copy.stream_id]
        for copy in fate.deliveries
        if (key.recipient, copy.stream_id) in acks
    }
    named |= {read.n: read for read in fate.reads}
    return [named[n] for n in sorted(named)]


def _untrue(key: Key, fate: Fate, acks: Acks) -> Iterator[Violation]:
    acked = _acked(key, fate, acks)
    for receipt in fate.receipts:
        grounds = {"delivered": acked, "read": fate.reads}.get(receipt.ack_type)
        if grounds is not None and not any(ground.n < receipt.n for ground in grounds):
            sentence = f"{key} was told to be {receipt.ack_type}, and its addressee had not said so"
            yield Violation("I4", sentence, [*fate.sends[:1], *fate.deliveries[:1], receipt, *grounds[:1]])
            return


def _backwards(key: Key, fate: Fate) -> Iterator[Violation]:
    told = next((receipt for receipt in fate.receipts if receipt.ack_type != "expired"), None)
    for receipt in fate.receipts:
        if told is not None and receipt.ack_type == "expired" and receipt.n > told.n:
            yield Violation("I4", f"{key} was told to be {told.ack_type}, and then expired", [told, receipt])
            return


def _owed(key: Key, fate: Fate, acks: Acks, excused: Excuses) -> Iterator[Violation]:
    acked = [event for event in _acked(key, fate, acks) if not event.forged]
    if not acked or not fate.sends or any(receipt.ack_type != "expired" for receipt in fate.receipts):
        return
    came = fate.deliveries[0].t if fate.deliveries else acked[0].t
    lost = excused.losses
    if meets(excused.blocks.may(key.recipient, key.sender), came, excused.end):
        return
    if not lost.excuse(key.sender, fate.began) and not lost.excuse(key.recipient, fate.began):
        yield Violation("I4", f"{key} was acked, and no receipt ever came", [*fate.deliveries[:1], acked[0]])
