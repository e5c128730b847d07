#!lua flags=allow-oom
-- collect: the next entries for one connection, if its lease still names it and is not over. Chats whose sender is
-- blocked by now become phantoms here: they count for him, and expire, as if they waited on.
-- Modes: pending (claim what any consumer of the group left unsettled, from a cursor), new (what the group has not
-- read yet), again (these ids once more).
-- KEYS[1] leases KEYS[2] mailbox KEYS[3] blocks KEYS[4] tally KEYS[5] waiting records KEYS[6] bucket now KEYS[7] parked
-- KEYS[8] phantoms
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

local function read()
  if mode == 'pending' then return redis.pcall('XAUTOCLAIM', KEYS[2], device, server, 0, ARGV[7], 'COUNT', count) end
  if mode == 'new' then
    return redis.pcall('XREADGROUP', 'GROUP', device, server, 'COUNT', count, 'STREAMS', KEYS[2], '>')
  end
  local entries = {}
  for i = 8, #ARGV do entries[#entries + 1] = redis.call('XRANGE', KEYS[2], ARGV[i], ARGV[i])[1] end
  return {'0-0', entries}
end

local reply = read()
if reply and reply.err then
  -- No mailbox: nothing waits. No group: this device's was lost, or never made.
  if redis.call('EXISTS', KEYS[2]) == 0 then return {'ok', '0-0', 0, {}} end
  redis.call('XGROUP', 'CREATE', KEYS[2], device, '0')
  reply = read()
  if reply and reply.err then return redis.error_reply(reply.err) end
end
local cursor, found = '0-0', {}
if mode == 'new' then
  found = reply and reply[1] and reply[1][2] or {}
else
  cursor, found = reply[1], reply[2]
end

local entries, dropped, blocked = {}, {}, {}
for _, entry in ipairs(found) do
  local fields = entry[2]
  local sender = fields[4]
  if fields[2] == 'c' and blocked[sender] == nil then
    blocked[sender] = redis.call('SISMEMBER', KEYS[3], sender) == 1
  end
  if fields[2] == 'c' and blocked[sender] then
    dropped[#dropped + 1] = entry
  else
    entries[#entries + 1] = entry
  end
end

-- Of a chat that another device has, its sender was told so: it leaves. Of any other he believes that it waits. Its
-- time is its own streamId, in a field: a stream takes no id below its last.
local keys = {mailbox = KEYS[2], tally = KEYS[4], waiting = KEYS[5], bucket = KEYS[6], parked = KEYS[7]}
local told, haunting = {}, {}
for _, entry in ipairs(dropped) do
  local id, said = entry[1], entry[2]
  local field = record_field(said[4], said[6])
  if RANK[string.sub(redis.call('HGET', keys.waiting, field) or 's', 1, 1)] > RANK.s then
    told[#told + 1] = id
  elseif not haunting[id] then
    haunting[id], haunting[#haunting + 1] = true, id
    redis.call('XADD', KEYS[8], '*', 'f', said[4], 'i', said[6], 'b', #said[8], 't', id)
    redis.call('HSET', keys.waiting, field, 'p' .. id)
    count_up(keys.tally, 'p', said[4], 1, #said[8])
  end
end
if #dropped > 0 then
  local groups = groups_of(KEYS[2])
  take_out(keys, groups, haunting)
  remove_entries(keys, groups, told, 'x', ARGV[6])
end
return {'ok', cursor, #found, entries}
