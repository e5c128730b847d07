#!lua flags=allow-oom
-- mark_read: these chats are read, and settled if they still wait. Nothing happens to the chats of a sender who is
-- blocked by now: they get no receipt, so their chats must not count as read.
-- RETURNS {streamId of each, ...}
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local entry_states = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local blocks = KEYS[6] -- set
local device = ARGV[1]
local sender = ARGV[2] -- mobile number
-- ARGV[3..]: messageIds
--@use _mailbox
--@use _dedupe
--@use _settle
if redis.call('SISMEMBER', blocks, sender) == 1 then return {} end
local keys = {
  mailbox = mailbox,
  tally = tally,
  entry_states = entry_states,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
local fields = record_fields(sender, {unpack(ARGV, 3)})
local found, where = find_records(dedupe, dedupe_before, fields)
local ids = {}
for _, field in ipairs(fields) do
  local record = found[field]
  local state = record and string.sub(record, 1, 1)
  if record and state ~= SHADOWED then
    if state ~= READ then redis.call('HSET', where[field], field, advance_state(record, READ)) end
    ids[#ids + 1] = stream_id_in(record)
  end
end
settle_each(keys, groups_of(mailbox), device, ids)
return ids
