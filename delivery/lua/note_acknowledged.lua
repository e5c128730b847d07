#!lua flags=allow-oom
-- note_acknowledged: a device has these chats, and their sender is about to be told that they are delivered (state a),
-- or more than that (state d: no other device's acknowledgement will be told any more). It is noted before the
-- sender is told: if nobody comes to settle these chats, the mailbox may be looked at only after 30 days, and then the
-- sender must not be told that they expired.
-- RETURNS {messageId, ...} of the chats that were known to be delivered or read: a tick must not go back
local dedupe = KEYS[1] -- hash
local dedupe_before = KEYS[2] -- hash
local sender = ARGV[1] -- mobile number
local state = ARGV[2] -- a | d
-- ARGV[3..]: messageIds
--@use _dedupe
local message_ids = {unpack(ARGV, 3)}
local fields, known = record_fields(sender, message_ids), {}
local found, where = find_records(dedupe, dedupe_before, fields)
-- One write for all: each write is a command in the append-only file.
for _, key in ipairs({dedupe, dedupe_before}) do
  local changed = {}
  for field, record in pairs(found) do
    local advanced = where[field] == key and advance_state(record, state) or record
    if advanced ~= record then changed[#changed + 1], changed[#changed + 2] = field, advanced end
  end
  if #changed > 0 then redis.call('HSET', key, unpack(changed)) end
end
for i, field in ipairs(fields) do
  if RANK[string.sub(found[field] or STORED, 1, 1)] >= RANK[DELIVERED] then known[#known + 1] = message_ids[i] end
end
return known
