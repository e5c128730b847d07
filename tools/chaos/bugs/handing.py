"""Bugs on the way from a mailbox to its owner's client, and back with his ack."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from delivery.connection.acks import Acks
from delivery.connection.carrier import Carrier
from delivery.connection.confirmations import Confirmations
from delivery.connection.handover import Handover, Said
from delivery.connection.inbound import Inbound

from delivery.hub import Hub
from delivery.in_flight import Acked, Flights, Landed
from delivery.presence import Holder
from protocol.entries import Chat, Entry
from protocol.errors import ApiError
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, tap
from tools.chaos.bugs.sending import AWAY, QUIET, SLOW_HEALING


def settle_first() -> None:
    """The entries leave the mailbox, and then their sender is told."""

    async def wrongly(self: Acks, under_way: Any, sender: str, chats: Sequence[Acked]) -> None:
        ids = [chat.stream_id for chat in chats]
        landed = self._flights.land(ids)
        try:
            await self._messenger.settle(self._holder, landed)
            await self._messenger.acknowledge(self._holder, sender, [chat.message_id for chat in chats])
        except ApiError as refusal:
            self._settles.put_back(landed)
            self._desk.say(self._dialect.error(refusal, "ack"))
        else:
            self._flights.forget(ids)
            self._counter.landed()
        under_way.left -= 1
        if not under_way.left:
            self._go_on(under_way)

    def tell(self: Acks, under_way: Any, sender: str, chats: Sequence[Acked]) -> None:
        self._desk.spawn(wrongly(self, under_way, sender, chats))

    replace(Acks, "_tell", tell)


def settle_on_writing() -> None:
    """What is written to a socket counts as received."""
    say = Handover.say

    def saying(self: Handover, entries: Sequence[Entry], *, again: bool) -> Said:
        landed = [Landed(entry.stream_id, entry.sender, entry.size) for entry in entries if isinstance(entry, Chat)]
        if landed:
            self._exit.spawn(self._mailbox.settle(self._holder.mobile, self._holder.device, landed))  # type: ignore[attr-defined]
        return say(self, entries, again=again)

    replace(Handover, "say", saying)


def confirm_on_writing() -> None:
    """The same for receipts to a client that does not ack them."""

    def expect(self: Confirmations, receipts: Sequence[str]) -> None:
        self._acks.delivered(receipts)

    replace(Confirmations, "expect", expect)


def forget_pending() -> None:
    """A connection reads what is new, and nothing that was handed to the one before it."""

    def doubt(self: Carrier) -> None:
        self._cursor, self._more = None, True

    replace(Carrier, "_doubt", doubt)


def no_window() -> None:
    """There is always room."""
    replace(Flights, "room", property(lambda self: self.window))


def no_gap() -> None:
    """Who subscribes anew believes to have missed nothing."""
    replace(Hub, "ring_all", lambda _self: None)


def send_once() -> None:
    """What is not acked is never overdue."""
    replace(Flights, "overdue", lambda *_: [])


def never_park() -> None:
    """What our own code cannot say is tried again, soon and for ever."""

    async def fail(self: Handover, _stream_id: str) -> None:
        carrier = getattr(self._exit, "_carrier", None)
        if carrier is not None:  # gone when the connection has ended
            asyncio.get_running_loop().call_later(0.02, carrier._look)

    replace(Handover, "_fail", fail)


def believe_acks() -> None:
    """Whoever names an entry of somebody's settles it, and its sender is told."""
    one = Inbound._one

    async def settle(acks: Acks, said: dict[str, Any]) -> None:
        landed = Landed(said["streamId"], said["to"], 0)
        holder = Holder(said["from"], acks._holder.device, "", "")
        await acks._messenger.acknowledge(holder, said["to"], [said["messageId"]])
        await acks._messenger.settle(holder, [landed])

    def believing(self: Inbound, part: bytes) -> list[bytes]:
        said = msgspec.json.decode(part)
        if said.get("ackType") == "delivered" and said.get("from", self._mobile) != self._mobile:
            self._acks._desk.spawn(settle(self._acks, said))
            return []
        return one(self, part)

    replace(Inbound, "_one", believing)


REQUEUE: Final = """
    if command == 'XAUTOCLAIM' then
      local reply = run(command, unpack(said, 1, most))
      if reply.err then return reply end
      for _, entry in ipairs(reply[2]) do
        run('XADD', said[1], '*', unpack(entry[2]))
        run('XACK', said[1], said[2], entry[1])
        run('XDEL', said[1], entry[1])
      end
      return {reply[1], {}}
    end"""
RESTLESS: Final = Scene(before=6.0, rate=120.0, rates={"cut": 12.0, "switch": 12.0, "vanish": 6.0})

BUGS: Final = [
    Bug(
        "settle-first",
        "An acked chat leaves the mailbox before its sender's receipt is stored.",
        *("I4", "no receipt ever arrived", settle_first),
        Scene(("replies-cut-off",), before=1.0),
    ),
    Bug(
        "settle-on-writing",
        "A chat leaves the mailbox when it is written to a socket, not when it is acked.",
        *("I1", "never arrived", settle_on_writing),
        RESTLESS,
    ),
    Bug(
        "confirm-on-writing",
        "A receipt to a seed client leaves the mailbox when it is written, not when a pong says that it has arrived.",
        *("I4", "no receipt ever arrived", confirm_on_writing),
        RESTLESS,
    ),
    Bug(
        "pending-forgotten",
        "What the connection before did not ack is not handed to the next.",
        *("I1", "never arrived", forget_pending),
        RESTLESS,
    ),
    Bug(
        "requeued",
        "What the connection before did not ack is put into the mailbox anew, under another streamId.",
        *("I2", "arrived twice, as two entries", broken(tap("fetch", lua=REQUEUE))),
        RESTLESS,
        quick=True,
    ),
    Bug(
        "no-window",
        "Everything that waits is sent at once, however little is acked.",
        *("I14", "unacknowledged on connection", no_window),
        Scene(before=8.0, rate=120.0, knobs={"WINDOW": "8"}, window=8, rates={"lose_signal": 6.0}),
    ),
    Bug(
        "gap-ignored",
        "A server that was cut off from its bell subscribes anew, and does not look into the mailboxes.",
        *("I1", "never arrived", no_gap),
        Scene(("cut-pubsub",), before=1.0, people=40, rate=20.0, knobs=SLOW_HEALING, rates=QUIET),
    ),
    Bug(
        "redelivery-forgotten",
        "An ack that could not be heeded is not asked for again: the entry is sent once on a connection.",
        *("I4", "no receipt ever arrived", send_once),
        Scene(("cut-commands",), before=1.0, drain=10.0),
    ),
    Bug(
        "poison-loops",
        "An entry our own code cannot say is tried again for ever.",
        *("a poisoned chat was tried", "times", never_park),
        Scene(("poison",), before=0.5),
    ),
    Bug(
        "acks-believed",
        "Whoever names somebody's entry settles it.",
        *("I4", "without an acknowledgement", believe_acks),
        AWAY,
    ),
]
