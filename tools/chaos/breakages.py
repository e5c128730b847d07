"""Ways to break the Lua scripts on purpose. The models (tests/delivery/models) must find each of them.

Most are taps, which work however a script is written. A replacement whose text is not in the script is an error, so
that a breakage cannot stop breaking anything unnoticed.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Breakage:
    """A change of one or more scripts.

    :param scripts: the names of the scripts
    :param tap: Lua that sees each ``command`` with its arguments ``args`` and may answer in Redis' place
    :param replace: (before, after) in the text instead
    """

    scripts: tuple[str, ...]
    tap: str = ""
    replace: tuple[str, str] | None = None


REMOVAL: Final = ("settle", "fetch", "mark_read", "expire", "forget_device")
NO_COUNTING_DOWN: Final = """
  if (command == 'HSET' or command == 'HDEL') and string.sub(args[1], 1, 6) == 'tally:' then return 0 end"""
NO_BLOCKS: Final = "if command == 'SISMEMBER' then return 0 end"
NOBODY_IS_BLOCKED: Final = """
  if command == 'SMISMEMBER' and string.sub(args[1], 1, 12) == 'blockedUser:' then return {0} end"""
NO_WRITING_RECORDS: Final = "if command == 'HSET' and string.sub(args[1], 1, 5) == 'seen:' then return 1 end"

ALIVE_AT: Final = "return now - math.max(late, 0) - tonumber(age), now"
SETTLED: Final = "local function settled_by_others(mailbox, groups, own, id)"


def _tap(*scripts: str, lua: str) -> Breakage:
    return Breakage(scripts, tap=lua)


def _instead(script: str, before: str, after: str) -> Breakage:
    return Breakage((script,), replace=(before, after))


OF_MAILBOXES: Final = {
    "an entry leaves and stays in pending lists": _tap(*REMOVAL, lua="if command == 'XACK' then return 0 end"),
    "settling counts for devices that have not read": _instead(
        "settle", "if compare_ids(id, group.read) > 0 then return false end", ""
    ),
    "a lease that is over outlives its device": _tap(
        "forget_device", lua="if command == 'HDEL' and string.sub(args[1], 1, 7) == 'leases:' then return 0 end"
    ),
    "a forgotten device settles for the one that is left": _instead(
        "settle", SETTLED, f"{SETTLED} if #groups == 1 then return true end"
    ),
    "settling counts for devices that have not acknowledged": _tap(
        "settle", lua="if command == 'XPENDING' then return {} end"
    ),
    "counters are not lowered": _tap(*REMOVAL, lua=NO_COUNTING_DOWN),
    "shadow entries are not counted down": _tap("expire_shadows", lua=NO_COUNTING_DOWN),
    "a send does not look at blocks": _tap("store_chats", lua=NO_BLOCKS),
    "a fetch does not look at blocks": _tap("fetch", lua=NO_BLOCKS),
    "a blocked sender's chats are read": _tap("find_unread", "mark_read", lua=NO_BLOCKS),
    "a send does not look for a record": _tap(
        "store_chats", lua="if command == 'HMGET' and string.sub(args[1], 1, 5) == 'seen:' then return {} end"
    ),
    "a send leaves no record": _tap("store_chats", lua=NO_WRITING_RECORDS),
    "another text under a known messageId gets sent": _instead(
        "store_chats", "has_text(record, digest) and stream_id_in(record) or 'reused'", "stream_id_in(record)"
    ),
    "a text is forgotten when its chat becomes a shadow entry": _instead(
        "expire", "SHADOWED .. string.sub(found[field], 2)", "SHADOWED .. id"
    ),
    "a text is forgotten when its chat is read": _instead(
        "mark_read", "return state .. string.sub(record, 2)", "return state .. stream_id_in(record)"
    ),
    "a settled chat takes the records along": _tap(
        "settle", lua="if command == 'XDEL' then run('DEL', 'seen:' .. string.sub(args[1], 9)) end"
    ),
    "a read chat is not marked": _tap("mark_read", lua=NO_WRITING_RECORDS),
    "the number of chats has no limit": _instead("store_chats", "chats < most_chats", "true"),
    "the bytes have no limit": _instead("store_chats", "bytes + #message <= most_bytes", "true"),
    "one sender has no limit": _instead("store_chats", "of_sender < most_of_sender", "true"),
    "one sender's bytes have no limit": _instead(
        "store_chats", "bytes_of_sender + #message <= most_bytes_of_sender", "true"
    ),
    "a cap drops what is oldest": _tap(
        "store_chats",
        lua="""
    if command == 'XADD' and string.sub(args[1], 1, 8) == 'mailbox:' then
      local id = run(command, unpack(args, 1, most))
      run('XTRIM', args[1], 'MAXLEN', 3)
      return id
    end""",
    ),
    "shadow entries are stored as chats": _instead(
        "store_chats", "if blocked then\n        answer =", "if false then\n        answer ="
    ),
    "a chat expires without a receipt": _tap(
        "store_receipt", lua="if command == 'XADD' and ARGV[2] == 'expired' then return '1-0' end"
    ),
    "an acknowledgement is not noted": _tap("note_acknowledged", lua="if command == 'HSET' then return 1 end"),
    "an acknowledgement is not noted for the other devices": _tap("note_delivered", lua=NO_WRITING_RECORDS),
    "the note of an acknowledgement is lost with its entry": _instead("expire", "if is_noted and", "if false and"),
    "the note of an acknowledgement stays when its entry leaves": _tap(
        *REMOVAL, lua="if command == 'HDEL' and string.sub(args[1], 1, 7) == 'parked:' then return 0 end"
    ),
    "a shadow entry is noted as if it were an entry": _tap(
        "note_acknowledged", lua="if command == 'EXISTS' then return 0 end"
    ),
    "an acknowledged chat that becomes a shadow entry is forgotten": _instead(
        "expire", ">= RANK[DELIVERED]", ">= RANK[ACKNOWLEDGED]"
    ),
    "an entry in flight expires": _instead("expire", "or not in_flight(id) then", "or true then"),
    "an expired chat leaves before its receipt is stored": _instead(
        "expire", "if make_shadow(keys, shadows, id, values)", "if false"
    ),
    "a connection without the lease fetches": _instead(
        "fetch", "if verdict ~= 'ok' then return {verdict, '0-0', 0, {}, 0} end", ""
    ),
    "a connection whose lease is over fetches": _instead("fetch", "> now_ms() and 'ok'", "> 0 and 'ok'"),
    "a new device gets no group": _tap("claim", lua="if command == 'XGROUP' and args[1] == 'CREATE' then return 0 end"),
    "a new device does not get what waits": _tap(
        "claim", lua="if command == 'XGROUP' and args[1] == 'CREATE' then args[4] = '$' end"
    ),
    "old blocks undo newer ones": _instead("load", "if version > version_before or is_incomplete then", "if true then"),
    "the new owner of a number finds the former one's data": _instead(
        "load", "redis.call('DEL', unpack(EVERYTHING))", "tostring(EVERYTHING)"
    ),
    "the empty mailbox of a connected person is deleted": _instead(
        "delete_empty", "#live_servers(leases) > 0", "false"
    ),
    "the last device takes the waiting entries with it": _tap(
        "forget_device", lua="if command == 'XGROUP' and args[1] == 'CREATE' then args[4] = '$' end"
    ),
    "a copy is stored again": _tap(
        "store_own", lua="if command == 'HMGET' and string.sub(args[1], 1, 5) == 'seen:' then return {} end"
    ),
    "a copy leaves no record": _tap("store_own", lua=NO_WRITING_RECORDS),
    "copies are not counted down": _tap(*REMOVAL, lua="if command == 'HINCRBY' and args[2] == 'on' then return 1 end"),
    "copies have no limit": _instead("store_own", "if too_many > 0 or too_much > 0 then", "if false then"),
    "a device skips what it has not read when it sends": _instead(
        "store_own", "(before == '' or compare_ids(before, group.read) <= 0)", "true"
    ),
    "copies are made for nobody": _instead("store_own", "if not has_others(user, device) then", "if false then"),
    "reading is not told to the other devices": _instead(
        "mark_read", "if #news > 0 and not (#groups == 1 and groups[1].name == device) then", "if false then"
    ),
    "reading is told to the other devices each time": _instead("mark_read", "if state ~= READ then", "if true then"),
    "stuck entries are not notified": _instead("find_stuck", "if stuck then", "if false then"),
}
"""By name. The model of mailboxes must find each."""

OF_PRESENCE: Final = {
    "a connection without the lease releases it": _instead("release", "if verdict ~= 'ok'", "if verdict == 'gone'"),
    "a renewal takes a replaced lease back": _instead("renew", "if verdict ~= 'ok'", "if verdict == 'gone'"),
    "a renewal counts from now": _instead("renew", ALIVE_AT, "return now, now"),
    "a claim counts from now": _instead("claim", ALIVE_AT, "return now, now"),
    "a silent client claims": _instead("claim", "ends_at <= now then", "false then"),
    "a lost lease is claimed from a newer connection": _instead(
        "claim", "mode == 'again' and held_by_another", "false and held_by_another"
    ),
    "a claim does not name the connection it replaces": _instead(
        "claim", "if held == 'replaced' then server_before", "if false then server_before"
    ),
    "a lease that is over is shown": _instead("read_presence", "if lease.ends_at > now then", "if true then"),
    "a blocked person sees presence": _tap("read_presence", lua=NOBODY_IS_BLOCKED),
    "what a blocked person sees is not frozen": _instead("load", "local frozen = noted[mobile]", "local frozen = nil"),
    "somebody online blocks, and seems to have left before": _instead(
        "load", "ends_at ~= '' and now or last_seen_at", "last_seen_at"
    ),
    "a sweep leaves overlong leases": _instead(
        "sweep", "elseif lease.ends_at - now > lease_ms then", "elseif false then"
    ),
    "a sweep ends everyone's lease": _instead("sweep", "lease.ends_at <= now or", "true or"),
    "a release is not recorded": _tap("release", lua="if command == 'SET' then return 'OK' end"),
}
"""By name. The model of presence must find each."""
