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
local entry_states = KEYS[3] -- hash
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
--@use _leases
--@use _stored_entries
local verdict = check_live_holder(leases, device, server_id, connection_id)
if verdict ~= 'ok' then return {verdict, '0-0', 0, {}, 0} end

local last_again = 8 + again_count
local last_settled = last_again + settled_count
local devices = 0
if settled_count > 0 then
  --@use _settle_alone
  devices = 1
  if not settle_alone(mailbox, tally, entry_states, device, ARGV, last_again + 1, last_settled) then
    --@use _mailbox
    --@use _settle
    local keys = {
      mailbox = mailbox,
      tally = tally,
      entry_states = entry_states,
      dedupe = dedupe,
      dedupe_before = dedupe_before,
    }
    local groups = groups_of(mailbox)
    devices = #groups
    settle_each(keys, groups, device, {unpack(ARGV, last_again + 1, last_settled)})
  end
end

local next_cursor, found = '0-0', {}
for attempt = 1, 2 do
  local reply
  if mode == 'new' then
    reply = redis.pcall('XREADGROUP', 'GROUP', device, server_id, 'COUNT', count, 'STREAMS', mailbox, '>')
    if reply and not reply.err then found = reply[1][2] end
  elseif mode == 'pending' then
    reply = redis.pcall('XAUTOCLAIM', mailbox, device, server_id, 0, cursor, 'COUNT', count)
    if not reply.err then next_cursor, found = reply[1], reply[2] end
  else
    for i = 9, last_again do found[#found + 1] = redis.call('XRANGE', mailbox, ARGV[i], ARGV[i])[1] end
  end
  if not (reply and reply.err) then break end
  -- No mailbox: nothing waits. No group: the group of this device was lost, or never made.
  if attempt == 2 then return redis.error_reply(reply.err) end
  if redis.call('EXISTS', mailbox) == 0 then return {'ok', '0-0', 0, {}, devices} end
  redis.call('XGROUP', 'CREATE', mailbox, device, '0')
end

-- By sender: whether they are blocked by now.
local blocked, any_blocked = {}, false
for i = 1, #found do
  local values = found[i][2]
  if values[ENTRY_KIND] == CHAT then
    local sender = values[CHAT_SENDER]
    if blocked[sender] == nil then
      blocked[sender] = redis.call('SISMEMBER', blocks, sender) == 1
      any_blocked = any_blocked or blocked[sender]
    end
  end
end
if not any_blocked then return {'ok', next_cursor, #found, found, devices} end

--@use _mailbox
--@use _remove
--@use _shadow
local keys = {
  mailbox = mailbox,
  tally = tally,
  entry_states = entry_states,
  dedupe = dedupe,
  dedupe_before = dedupe_before,
}
local entries, leaving, taken = {}, {}, {}
for _, entry in ipairs(found) do
  local id, values = entry[1], entry[2]
  if values[ENTRY_KIND] ~= CHAT or not blocked[values[CHAT_SENDER]] then
    entries[#entries + 1] = entry
  elseif not taken[id] then
    taken[id], leaving[#leaving + 1] = true, id
    make_shadow(keys, shadows, id, values)
  end
end
remove(keys, groups_of(mailbox), leaving)
return {'ok', next_cursor, #found, entries, devices}
