"""Bugs on purpose that the simulation must find, by name: ``python -m tools.simulate --bug NAME``."""

from typing import Final

from delivery.session.session import Session
from tools import session_bugs as bugs

BUGS: Final[dict[str, type[Session]]] = {
    "sent-early": bugs.SentBeforeStored,
    "order-raced": bugs.StoredAtOnce,
    "copy-first": bugs.CopiedBeforeStored,
    "sent-before-copy": bugs.SentBeforeCopied,
    "not-copied": bugs.NotCopied,
    "settle-first": bugs.SettledBeforeReceipt,
    "settle-on-writing": bugs.SettledWhenSent,
    "confirm-on-writing": bugs.ConfirmedWhenSent,
    "pending-forgotten": bugs.PendingForgotten,
    "no-window": bugs.NoWindow,
    "redelivery-forgotten": bugs.NeverAgain,
    "settle-forgotten": bugs.SettleForgotten,
    "acks-believed": bugs.AcksBelieved,
    "notifications-ignored": bugs.NotificationsIgnored,
    "fetch-first": bugs.FetchedBeforeClaim,
    "leave-first": bugs.LeftBeforeRelease,
    "renewal-forgotten": bugs.RenewalForgotten,
    "epoch-untold": bugs.EpochUntold,
}
"""Without the bugs of the product around the sessions, which only the campaign finds (tools/chaos/bugs). Nor is
`tcp-is-life` among them: the simulated sockets have a heartbeat of their own, which ends them first."""
