#!lua flags=allow-oom
-- collect: the next entries for one connection, if its lease still names it and is not over. Chats whose sender is blocked by now
-- leave here, without a receipt. Modes: pending (claim what any consumer of the group left unsettled, from a cursor),
-- new (what the group has not read yet), again (these ids once more).
-- KEYS[1] leases KEYS[2] mailbox KEYS[3] blocks KEYS[4] tally KEYS[5] waiting records KEYS[6] bucket now KEYS[7] parked
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] pending | new | again ARGV[5] most entries
-- ARGV[6] seconds a bucket lives ARGV[7] cursor ARGV[8..] ids
-- RETURNS {verdict: ok | gone | replaced, next cursor, entries read, {{streamId, {field, value, ...}}, ...}}
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
local device, server, mode, count = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local verdict, lease = holding(KEYS[1], device, server, ARGV[3])
if verdict == 'ok' and lease.till <= now_ms() then verdict = 'gone' end
if verdict ~= 'ok' then return {verdict, '0-0', 0, {}} end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ok', '0-0', 0, {}} end

local function read()
  if mode == 'pending' then
    local reply = redis.call('XAUTOCLAIM', KEYS[2], device, server, 0, ARGV[7], 'COUNT', count)
    return reply[2], reply[1]
  end
  if mode == 'new' then
    local reply = redis.call('XREADGROUP', 'GROUP', device, server, 'COUNT', count, 'STREAMS', KEYS[2], '>')
    return reply and reply[1] and reply[1][2] or {}, '0-0'
  end
  local entries = {}
  for i = 8, #ARGV do entries[#entries + 1] = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1] end
  return entries, '0-0'
end

local groups = groups_of(KEYS[2])
local known = false
for _, group in ipairs(groups) do known = known or group.name == device end
if not known then
  redis.call('XGROUP', 'CREATE', KEYS[2], device, '0')
  groups = groups_of(KEYS[2])
end
local found, cursor = read()
local keys = {mailbox = KEYS[2], tally = KEYS[4], waiting = KEYS[5], bucket = KEYS[6], parked = KEYS[7]}
local entries = {}
for _, entry in ipairs(found) do
  local fields = entry[2]
  if fields[2] == 'c' and redis.call('SISMEMBER', KEYS[3], fields[4]) == 1 then
    remove_entry(keys, groups, entry[1], 'x', ARGV[6])
  else
    entries[#entries + 1] = entry
  end
end
return {'ok', cursor, #found, entries}
