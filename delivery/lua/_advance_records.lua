--@use _dedupe
-- The records of these chats of one sender, advanced to a state. Returns the messageIds of those that were known to be
-- delivered or read.
local function advance_records(dedupe, dedupe_before, sender, state, message_ids)
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
end
