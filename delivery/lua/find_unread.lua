#!lua flags=no-writes
-- find_unread: which of these chats are known and not marked read yet. None of a sender who is blocked by now: a read
-- receipt would tell them more than the silence of an offline person.
-- RETURNS {messageId, ...}
local blocks = KEYS[1] -- set
local dedupe = KEYS[2] -- hash
local dedupe_before = KEYS[3] -- hash
local sender = ARGV[1] -- mobile number
-- ARGV[2..]: messageIds
--@use _dedupe
local unread = {}
if redis.call('SISMEMBER', blocks, sender) == 1 then return unread end
local message_ids = {unpack(ARGV, 2)}
local fields = record_fields(sender, message_ids)
local found = find_records(dedupe, dedupe_before, fields)
for i, field in ipairs(fields) do
  local state = found[field] and string.sub(found[field], 1, 1)
  if state and state ~= READ and state ~= SHADOWED then unread[#unread + 1] = message_ids[i] end
end
return unread
