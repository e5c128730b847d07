#!lua flags=allow-oom
-- store_receipt: an entry for the sender of chats. It is always taken, also when memory is short, and causes no
-- receipt.
-- RETURNS {verdict: not_cached | stored, streamId, {serverId of each live connection}}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local leases = KEYS[3] -- hash
local sender = ARGV[1] -- mobile number of the person who received, read, or let expire
local ack_type = ARGV[2] -- delivered | read | expired
local message_ids = ARGV[3] -- joined by a space
local own_server = ARGV[4] -- serverId of the caller, or ''
local mobile = ARGV[5] -- of the owner of the mailbox
--@use _stored_entries
--@use _mailbox
--@use _notify
if redis.call('EXISTS', user) == 0 then return {'not_cached', '', {}} end
local id = append(user, mailbox, receipt_fields(sender, ack_type, message_ids))
return {'stored', id, notify(leases, own_server, mobile, id)}
