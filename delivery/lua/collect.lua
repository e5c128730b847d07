#!lua flags=allow-oom
-- collect: the next entries for one connection, if its lease still names it and is not over. What it brings to be
-- settled is settled first. Chats whose sender is blocked by now become phantoms here: they count for him, and expire,
-- as if they waited on.
-- Modes: pending (claim what any consumer of the group left unsettled, from a cursor), new (what the group has not
-- read yet), again (these ids once more).
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] parked KEYS[4] records KEYS[5] records before KEYS[6] leases KEYS[7] blocks
-- KEYS[8] phantoms
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] pending | new | again ARGV[5] most entries
-- ARGV[6] cursor ARGV[7] number of ids wanted again ARGV[8] number of streamIds to settle
-- ARGV[9..] ids wanted again, streamIds to settle, sender, chats, bytes of each sender of those
-- RETURNS {verdict: ok | gone | replaced, next cursor, entries read, {{streamId, {field, value, ...}}, ...},
--   number of devices with a copy, 0 when it was not looked at}
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
--@use _settle
--@use _phantom
local device, server, mode, count = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local mailbox, blocks, phantoms = KEYS[1], KEYS[7], KEYS[8]
local keys = {mailbox = mailbox, tally = KEYS[2], parked = KEYS[3], records = KEYS[4], before = KEYS[5]}
local verdict, lease = holding(KEYS[6], device, server, ARGV[3])
if verdict == 'ok' and lease.till <= now_ms() then verdict = 'gone' end
if verdict ~= 'ok' then return {verdict, '0-0', 0, {}, 0} end

local last_again = 8 + tonumber(ARGV[7])
local last_settled = last_again + tonumber(ARGV[8])
local _, devices = settle(keys, device, {unpack(ARGV, last_again + 1, last_settled)}, {unpack(ARGV, last_settled + 1)})

local function read()
  if mode == 'pending' then return redis.pcall('XAUTOCLAIM', mailbox, device, server, 0, ARGV[6], 'COUNT', count) end
  if mode == 'new' then
    return redis.pcall('XREADGROUP', 'GROUP', device, server, 'COUNT', count, 'STREAMS', mailbox, '>')
  end
  local entries = {}
  for _, id in ipairs({unpack(ARGV, 9, last_again)}) do
    entries[#entries + 1] = redis.call('XRANGE', mailbox, id, id)[1]
  end
  return {'0-0', entries}
end

local reply = read()
if reply and reply.err then
  -- No mailbox: nothing waits. No group: this device's was lost, or never made.
  if redis.call('EXISTS', mailbox) == 0 then return {'ok', '0-0', 0, {}, devices} end
  redis.call('XGROUP', 'CREATE', mailbox, device, '0')
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
  if fields[2] == 'c' and blocked[sender] == nil then blocked[sender] = redis.call('SISMEMBER', blocks, sender) == 1 end
  if fields[2] == 'c' and blocked[sender] then
    dropped[#dropped + 1] = entry
  else
    entries[#entries + 1] = entry
  end
end

local leaving, taken = {}, {}
for _, entry in ipairs(dropped) do
  local id, said = entry[1], entry[2]
  if not taken[id] then
    taken[id], leaving[#leaving + 1] = true, id
    haunt(keys, phantoms, id, said)
  end
end
if #leaving > 0 then take_out(keys, groups_of(mailbox), leaving) end
return {'ok', cursor, #found, entries, devices}
