#!lua flags=allow-oom
-- mark_read: these chats are read. One that still waits is settled by it; the state only rises. Nothing happens to
-- those of a sender who is blocked by now: he got no receipt, so they must not count as read.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] waiting records KEYS[4] bucket now KEYS[5] parked
-- KEYS[6] bucket before KEYS[7] bucket after KEYS[8] blocks
-- ARGV[1] device ARGV[2] seconds a bucket lives ARGV[3] sender ARGV[4..] messageIds
-- RETURNS {streamId of each, ...}
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
if redis.call('SISMEMBER', KEYS[8], ARGV[3]) == 1 then return {} end
local groups = groups_of(KEYS[1])
local keys = {mailbox = KEYS[1], tally = KEYS[2], waiting = KEYS[3], bucket = KEYS[4], parked = KEYS[5]}
local fields = {}
for i = 4, #ARGV do fields[#fields + 1] = record_field(ARGV[3], ARGV[i]) end
local records, where = find_records(KEYS[3], {KEYS[4], KEYS[6], KEYS[7]}, fields)
local ids, leaving = {}, {}
for _, field in ipairs(fields) do
  local record = records[field]
  if record and string.sub(record, 1, 1) ~= 'p' then
    local id = string.sub(record, 2)
    redis.call('HSET', where[field], field, raised(record, 'r'))
    ids[#ids + 1] = id
    if where[field] == KEYS[3] then
      redis.call('XACK', KEYS[1], ARGV[1], id)
      if passed_by_others(KEYS[1], groups, ARGV[1], id) then leaving[#leaving + 1] = id end
    end
  end
end
remove_entries(keys, groups, leaving, 'r', ARGV[2])
return ids
