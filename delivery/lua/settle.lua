#!lua flags=allow-oom
-- settle: this device has these entries. One leaves the mailbox when every device has passed it.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] waiting records KEYS[4] bucket now KEYS[5] parked
-- ARGV[1] device ARGV[2] seconds a bucket lives ARGV[3..] streamIds
-- RETURNS number of entries that left
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
local groups = groups_of(KEYS[1])
local keys = {mailbox = KEYS[1], tally = KEYS[2], waiting = KEYS[3], bucket = KEYS[4], parked = KEYS[5]}

-- Others have not passed it: it stays, and is known to be delivered.
local function passed_by_me_alone(id)
  redis.call('XACK', KEYS[1], ARGV[1], id)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry and entry[2][2] == 'c' then
    local field = record_field(entry[2][4], entry[2][6])
    local record = redis.call('HGET', KEYS[3], field)
    if record then redis.call('HSET', KEYS[3], field, raised(record, 'd')) end
  end
end

local leaving = {}
for i = 3, #ARGV do
  if not passed_by_others(KEYS[1], groups, ARGV[1], ARGV[i]) then
    passed_by_me_alone(ARGV[i])
  else
    leaving[#leaving + 1] = ARGV[i]
  end
end
return remove_entries(keys, groups, leaving, 'd', ARGV[2])
