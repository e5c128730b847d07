#!lua flags=allow-oom
-- receipt: an entry for the sender of chats. Always taken, also when memory is short, never begets a receipt.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] leases
-- ARGV[1] who received, read, or let expire ARGV[2] delivered | read | expired ARGV[3] messageIds, joined by a space
-- ARGV[4] serverId of the caller, or '' ARGV[5] whose mailbox
-- RETURNS {verdict: unloaded | stored, streamId, {serverId of each live connection}}
--@use _clock
--@use _leases
--@use _mailbox
--@use _ring
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unloaded', '', {}} end
local id = put(KEYS[1], KEYS[2], 'k', 'r', 'f', ARGV[1], 'a', ARGV[2], 'i', ARGV[3])
return {'stored', id, ring(KEYS[3], ARGV[4], ARGV[5], id)}
