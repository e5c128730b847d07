#!lua flags=allow-oom
-- note_delivered: a device has these chats, and their sender is about to be told that they are delivered (state a), or
-- more than that (state d: no other device's acknowledgement will be told any more). Where there are several devices,
-- and for chats that are read, this is noted in the records, which tell what the sender knows already; see also
-- note_acknowledged.
-- RETURNS {messageId, ...} of the chats that were known to be delivered or read: a tick must not go back
local dedupe = KEYS[1] -- hash
local dedupe_before = KEYS[2] -- hash
local sender = ARGV[1] -- mobile number
local state = ARGV[2] -- a | d
-- ARGV[3..]: messageIds
--@use _advance_records
return advance_records(dedupe, dedupe_before, sender, state, {unpack(ARGV, 3)})
