"""All invariants over one history."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tools.chaos.checker.chats import i1_kept, i1b_at_most_once, i2_once, i3_order, i4_receipts, i8_authentic, missing
from tools.chaos.checker.clients import handed_over, sent_in_order
from tools.chaos.checker.devices import on_each_device, own_copies, own_reads
from tools.chaos.checker.facts import chats_of
from tools.chaos.checker.people import hidden_presence, i5_blocks, i6_presence, i9_logout, reused_tokens
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Report, Violation
from tools.chaos.checker.service import i11_available, i12_notified, i14_window, outages
from tools.chaos.history import Event

INVARIANTS: Final[dict[str, Callable[[Sequence[Event], Limits], list[Violation]]]] = {
    "I1": i1_kept,
    "I1b": i1b_at_most_once,
    "I2": i2_once,
    "I3": i3_order,
    "I4": i4_receipts,
    "I5": i5_blocks,
    "I6": i6_presence,
    "I8": i8_authentic,
    "I9": i9_logout,
    "I11": i11_available,
    "I12": i12_notified,
    "I14": i14_window,
    "hidden presence": hidden_presence,
    "reused tokens": reused_tokens,
    "each device": on_each_device,
    "own copies": own_copies,
    "own reads": own_reads,
    "handed over": handed_over,
    "sent in order": sent_in_order,
}


def check(history: Sequence[Event], *, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Check a whole history against every invariant.

    :raises ValueError: it has no ``drained`` event, so what is missing in it may still be on its way
    """
    drained = [event for event in history if event.kind == "drained"]
    if not drained:
        raise ValueError("this history has no `drained` event: what is missing in it may still be on its way")
    violations = [violation for invariant in INVARIANTS.values() for violation in invariant(history, limits)]
    chats = [chat for chat in chats_of(history).values() if chat.sends]
    reasons = Counter(reason for *_, reason in missing(history))
    outside, within = outages(history, limits)
    return Report(
        sent=len(chats),
        acknowledged=sum(chat.sent is not None for chat in chats),
        delivered=sum(bool(chat.deliveries) for chat in chats),
        notified=reasons["notified"],
        withheld=reasons["withheld"],
        expired=reasons["expired"],
        outage=round(max((outage.seconds for outage in outside), default=0.0), 2),
        outage_in_faults=round(max((outage.seconds for outage in within), default=0.0), 2),
        drained=drained[-1].ok,
        violations=violations,
    )
