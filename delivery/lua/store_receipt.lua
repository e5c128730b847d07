#!lua flags=allow-oom
-- store_receipt: an entry for the sender of chats. It is always taken, also when memory is short, and causes no
-- receipt. Nothing is stored of chats that a former owner of the sender's number sent.
-- RETURNS {verdict: not_cached | stored, streamId or '' if there was nothing to store, {serverId of each live connection}}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local leases = KEYS[3] -- hash
local sender = ARGV[1] -- mobile number of the person who received, read, or let expire
local ack_type = ARGV[2] -- delivered | read | expired
local message_ids = ARGV[3] -- joined by a space
local own_server = ARGV[4] -- serverId of the caller, or ''
local mobile = ARGV[5] -- of the owner of the mailbox
local stream_ids = ARGV[6] -- of the chats, joined by a space; '': not known
--@use _stored_entries
--@use _mailbox
--@use _notify
--@use _user_fields
local owner = redis.call('HMGET', user, ACCOUNT_ID, NUMBER_SINCE)
if not owner[1] then return {'not_cached', '', {}} end
local since = tonumber(owner[2] or '') -- of a number that nobody had before there is none
if since and stream_ids ~= '' then
  local kept, are_older, next_name = {}, false, string.gmatch(message_ids, '%S+')
  for ms in string.gmatch(stream_ids, '(%d+)-%d+') do
    local name = next_name()
    if tonumber(ms) < since then are_older = true else kept[#kept + 1] = name end
  end
  if are_older then
    if #kept == 0 then return {'stored', '', {}} end
    message_ids = table.concat(kept, ' ')
  end
end
local id = append(user, mailbox, receipt_fields(sender, ack_type, message_ids))
return {'stored', id, notify(leases, own_server, mobile, id)}
