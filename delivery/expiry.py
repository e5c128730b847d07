"""Tells the senders of chats that these waited for too long, or that nobody is left who could get them."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from delivery.mailbox import Mailbox, awaited, loading
from delivery.user_records import UserRecords
from protocol.errors import ApiError

SENDERS_AT_ONCE: Final = 20


class Expiry:
    """Stores ``expired`` receipts."""

    def __init__(self, mailbox: Mailbox, users: UserRecords) -> None:
        self._mailbox = mailbox
        self._users = users

    async def tell_senders(self, mobile: str, chats: Sequence[tuple[str, str, str]]) -> None:
        """Each sender gets receipts for their chats to this person, in the order given. May be repeated after a crash.

        :param chats: (sender, messageId, streamId)
        :raises ApiError: ``unavailable``
        """
        by_sender: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for sender, message_id, stream_id in chats:
            by_sender[sender][message_id] = stream_id
        senders = list(by_sender.items())
        for first in range(0, len(senders), SENDERS_AT_ONCE):
            some = senders[first : first + SENDERS_AT_ONCE]
            await asyncio.gather(*[self._tell(mobile, sender, times) for sender, times in some])

    async def _tell(self, mobile: str, sender: str, times: Mapping[str, str]) -> None:
        # Ticks only move forward. A server may have told the sender that a chat is delivered, and may have ended before
        # it settled the chat: then the sender is told so once more, and of no expiry.
        mailbox = self._mailbox
        expired, perhaps_delivered = await awaited(mailbox.find_unacknowledged, mobile, sender, [*times])
        for kind, ids in (("delivered", perhaps_delivered), ("expired", expired)):
            if ids:
                try:
                    at = [times[message_id] for message_id in ids]
                    store = partial(awaited, mailbox.store_receipt, sender, mobile, kind, ids, at)
                    await loading(self._users, sender, store)
                except ApiError as error:
                    if error.code != "no_such_person":  # the account is gone: nobody is left to be told
                        raise
