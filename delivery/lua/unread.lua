#!lua flags=no-writes
-- unread: which of these chats exist, and were not marked read yet. None of a sender who is blocked by now: a read
-- receipt would tell him more than an offline person's silence.
-- KEYS[1] blocks KEYS[2] records KEYS[3] records before
-- ARGV[1] sender ARGV[2..] messageIds
-- RETURNS {messageId, ...}
--@use _clock
--@use _seen
local unread = {}
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return unread end
local fields = {}
for i = 2, #ARGV do fields[#fields + 1] = record_field(ARGV[1], ARGV[i]) end
local records = find_records(KEYS[2], KEYS[3], fields)
for i, field in ipairs(fields) do
  local state = records[field] and string.sub(records[field], 1, 1)
  if state and state ~= 'r' and state ~= 'p' then unread[#unread + 1] = ARGV[i + 1] end
end
return unread
