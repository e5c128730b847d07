#!lua flags=no-writes
-- find_unread: which of these chats are known and not marked read yet. None of a sender who is blocked by now: a read
-- receipt would tell them more than the silence of an offline person.
-- Beside them is what decides what the sender is told of it (delivery/policy.py). Of a person who hides something, it is
-- also said which of the chats no device has acknowledged: their sender was told nothing yet.
-- RETURNS {{messageId, ...}, {messageId of each that nobody acknowledged, ...}, privacy, what the sender is,
--   {streamId, ...}}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local dedupe = KEYS[3] -- hash
local dedupe_before = KEYS[4] -- hash
local mailbox = KEYS[5] -- stream
local entry_states = KEYS[6] -- hash
local answered = KEYS[7] -- set
local sender = ARGV[1] -- mobile number
-- ARGV[2..]: messageIds
--@use _dedupe
--@use _user_fields
local unread, unacknowledged, side, stream_ids = {}, {}, '-', {}
if redis.call('SISMEMBER', blocks, sender) == 1 then return {unread, unacknowledged, '', side, stream_ids} end
local message_ids = {unpack(ARGV, 2)}
local fields = record_fields(sender, message_ids)
local found = find_records(dedupe, dedupe_before, fields)
local privacy = redis.call('HGET', user, PRIVACY) or ''
for i, field in ipairs(fields) do
  local state = found[field] and string.sub(found[field], 1, 1)
  if state and state ~= READ and state ~= SHADOWED then
    local id = stream_id_in(found[field])
    unread[#unread + 1], stream_ids[#stream_ids + 1] = message_ids[i], id
    if privacy ~= '' and state == STORED then
      --@use _entry_states
      local is_acknowledged = tonumber(redis.call('HGET', entry_states, id) or '0') >= ENTRY_ACKNOWLEDGED
      if not is_acknowledged and #redis.call('XRANGE', mailbox, id, id) > 0 then
        unacknowledged[#unacknowledged + 1] = message_ids[i]
      end
    end
  end
end
if privacy ~= '' and redis.call('SISMEMBER', answered, sender) == 1 then side = 'c' end
return {unread, unacknowledged, privacy, side, stream_ids}
