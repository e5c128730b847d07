#!lua flags=allow-oom
-- mark_read: these chats are read. One that still waits is settled by it; the state only rises. Nothing happens to
-- those of a sender who is blocked by now: he got no receipt, so they must not count as read.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] parked KEYS[4] records KEYS[5] records before KEYS[6] blocks
-- ARGV[1] device ARGV[2] sender ARGV[3..] messageIds
-- RETURNS {streamId of each, ...}
--@use _clock
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
--@use _settle
if redis.call('SISMEMBER', KEYS[6], ARGV[2]) == 1 then return {} end
local keys = {mailbox = KEYS[1], tally = KEYS[2], parked = KEYS[3], records = KEYS[4], before = KEYS[5]}
local fields = {}
for i = 3, #ARGV do fields[#fields + 1] = record_field(ARGV[2], ARGV[i]) end
local found, where = find_records(keys.records, keys.before, fields)
local ids = {}
for _, field in ipairs(fields) do
  local record = found[field]
  if record and string.sub(record, 1, 1) ~= 'p' then
    if string.sub(record, 1, 1) ~= 'r' then redis.call('HSET', where[field], field, raised(record, 'r')) end
    ids[#ids + 1] = place_in(record)
  end
end
settle_each(keys, groups_of(keys.mailbox), ARGV[1], ids)
return ids
