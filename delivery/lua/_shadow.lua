--@use _stored_entries
--@use _dedupe
--@use _entry_states
--@use _tally
-- Leave a shadow entry of a chat that leaves the mailbox, while its sender may believe that it waits, or was not surely
-- told what became of it. The shadow entry carries the chat's streamId in a field, because a stream takes no id below
-- its last. Returns whether a shadow entry was made.
local function make_shadow(keys, shadows, id, values)
  local sender, message_id, bytes = values[CHAT_SENDER], values[CHAT_MESSAGE_ID], #values[CHAT_MESSAGE]
  local field = record_field(sender, message_id)
  local found, where = find_records(keys.dedupe, keys.dedupe_before, {field})
  local state = string.sub(found[field] or STORED, 1, 1)
  -- The note of an acknowledgement leaves with the entry: from now on the record says it.
  local is_noted = tonumber(redis.call('HGET', keys.entry_states, id) or '0') >= ENTRY_ACKNOWLEDGED
  if is_noted and RANK[state] < RANK[ACKNOWLEDGED] then
    state = ACKNOWLEDGED
    if where[field] then redis.call('HSET', where[field], field, advance_state(found[field], ACKNOWLEDGED)) end
  end
  -- One of several devices has the chat, and its sender was told: nothing is left to believe in.
  if RANK[state] >= RANK[DELIVERED] then return false end
  redis.call('XADD', shadows, '*', shadow_of_chat_fields(sender, message_id, bytes, id))
  if where[field] and state == STORED then
    redis.call('HSET', where[field], field, SHADOWED .. string.sub(found[field], 2))
  end
  count_up(keys.tally, SHADOW_TALLY, sender, 1, bytes)
  return true
end
