#!lua flags=allow-oom
-- fetch: the next entries for one connection, if its lease still names it and is not over. The entries it brings to be
-- settled are settled first. Chats whose sender is blocked by now become shadow entries here: for their sender they
-- count, and expire, as if they waited on.
-- Modes: pending (claim what any consumer of the group left unsettled, from a cursor), new (what the group has not read
-- yet), again (these ids once more).
-- RETURNS {verdict: ok | gone | replaced, next cursor, entries read, {{streamId, {field, value, ...}}, ...},
--   number of devices with a copy (0: not looked up)}
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local dead_letters = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local leases = KEYS[6] -- hash
local blocks = KEYS[7] -- set
local shadows = KEYS[8] -- stream
local device = ARGV[1]
local server_id = ARGV[2]
local connection_id = ARGV[3]
local mode = ARGV[4] -- pending | new | again
local count = ARGV[5] -- most entries
local cursor = ARGV[6] -- of the mode pending
local again_count = tonumber(ARGV[7]) -- number of ids wanted again
local settled_count = tonumber(ARGV[8]) -- number of streamIds to settle
-- ARGV[9..]: ids wanted again, streamIds to settle, then sender, chats, bytes of each sender of those to settle
--@use _clock
--@use _stored_entries
--@use _leases
--@use _mailbox
--@use _remove
--@use _settle
--@use _shadow
local keys = {
  mailbox = mailbox,
  tally = tally,
  dead_letters = dead_letters,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
local verdict, lease = check_holder(leases, device, server_id, connection_id)
if verdict == 'ok' and lease.ends_at <= now_ms() then verdict = 'gone' end
if verdict ~= 'ok' then return {verdict, '0-0', 0, {}, 0} end

local last_again = 8 + again_count
local last_settled = last_again + settled_count
local _, devices = settle(keys, device, {unpack(ARGV, last_again + 1, last_settled)}, {unpack(ARGV, last_settled + 1)})

local function read()
  if mode == 'pending' then
    return redis.pcall('XAUTOCLAIM', mailbox, device, server_id, 0, cursor, 'COUNT', count)
  end
  if mode == 'new' then
    return redis.pcall('XREADGROUP', 'GROUP', device, server_id, 'COUNT', count, 'STREAMS', mailbox, '>')
  end
  local entries = {}
  for _, id in ipairs({unpack(ARGV, 9, last_again)}) do
    entries[#entries + 1] = redis.call('XRANGE', mailbox, id, id)[1]
  end
  return {'0-0', entries}
end

local reply = read()
if reply and reply.err then
  -- No mailbox: nothing waits. No group: the group of this device was lost, or never made.
  if redis.call('EXISTS', mailbox) == 0 then return {'ok', '0-0', 0, {}, devices} end
  redis.call('XGROUP', 'CREATE', mailbox, device, '0')
  reply = read()
  if reply and reply.err then return redis.error_reply(reply.err) end
end
local next_cursor, found = '0-0', {}
if mode == 'new' then
  found = reply and reply[1] and reply[1][2] or {}
else
  next_cursor, found = reply[1], reply[2]
end

local entries, shadowed, blocked = {}, {}, {}
for _, entry in ipairs(found) do
  local values = entry[2]
  local drop = false
  if values[ENTRY_KIND] == CHAT then
    local sender = values[CHAT_SENDER]
    if blocked[sender] == nil then blocked[sender] = redis.call('SISMEMBER', blocks, sender) == 1 end
    drop = blocked[sender]
  end
  if drop then
    shadowed[#shadowed + 1] = entry
  else
    entries[#entries + 1] = entry
  end
end

local leaving, taken = {}, {}
for _, entry in ipairs(shadowed) do
  local id, values = entry[1], entry[2]
  if not taken[id] then
    taken[id], leaving[#leaving + 1] = true, id
    make_shadow(keys, shadows, id, values)
  end
end
if #leaving > 0 then remove(keys, groups_of(mailbox), leaving) end
return {'ok', next_cursor, #found, entries, devices}
