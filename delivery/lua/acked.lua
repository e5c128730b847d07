#!lua flags=allow-oom
-- acked: a device has these chats, and their sender is being told: that they are delivered (a), or more than that (d);
-- after d, no other device's ack is told any more. Noted before the sender is told: what these chats wait in may be
-- looked at only after 30 days, if nobody came to settle them, and then the sender must not be told that they expired.
-- KEYS[1] records KEYS[2] records before
-- ARGV[1] sender ARGV[2] a | d ARGV[3..] messageIds
-- RETURNS {messageId, ...} of those that were known to be delivered, or read: a tick must not go back
--@use _clock
--@use _seen
local fields, known = {}, {}
for i = 3, #ARGV do fields[#fields + 1] = record_field(ARGV[1], ARGV[i]) end
local found, where = find_records(KEYS[1], KEYS[2], fields)
-- One write for all: each is a command in the append-only file.
for _, key in ipairs({KEYS[1], KEYS[2]}) do
  local risen = {}
  for field, record in pairs(found) do
    local now = where[field] == key and raised(record, ARGV[2]) or record
    if now ~= record then risen[#risen + 1], risen[#risen + 2] = field, now end
  end
  if #risen > 0 then redis.call('HSET', key, unpack(risen)) end
end
for i, field in ipairs(fields) do
  local state = string.sub(found[field] or 's', 1, 1)
  if RANK[state] >= RANK.d then known[#known + 1] = ARGV[i + 2] end
end
return known
