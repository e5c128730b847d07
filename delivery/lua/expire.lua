#!lua flags=allow-oom
-- expire: what has waited too long leaves the mailbox. A chat whose sender was not surely told what became of it
-- becomes a shadow entry in the same step, and its sender is told of shadow entries: a chat that could be acknowledged
-- meanwhile might be told twice, and in the wrong order. So what is in flight on a live connection stays for a while;
-- the next run finds it settled, or nobody there.
-- RETURNS number of entries that left and became no shadow entry
local mailbox = KEYS[1] -- stream
local tally = KEYS[2] -- hash
local entry_states = KEYS[3] -- hash
local dedupe = KEYS[4] -- hash
local dedupe_before = KEYS[5] -- hash
local leases = KEYS[6] -- hash
local shadows = KEYS[7] -- stream
local latest = ARGV[1] -- streamId: older entries leave also if they are in flight; nobody acknowledges them any more
-- ARGV[2..]: streamIds
--@use _stored_entries
--@use _leases
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
local groups = groups_of(mailbox)
local live = live_devices(leases)

local function in_flight(id)
  for _, group in ipairs(groups) do
    if live[group.name] and #redis.call('XPENDING', mailbox, group.name, id, id, 1) > 0 then return true end
  end
  return false
end

local leaving, shadowed = {}, 0
for _, entry in ipairs(entries_of(mailbox, {unpack(ARGV, 2)})) do
  local id, values = entry[1], entry[2]
  if values[ENTRY_KIND] ~= CHAT then
    leaving[#leaving + 1] = id
  elseif compare_ids(id, latest) < 0 or not in_flight(id) then
    leaving[#leaving + 1] = id
    if make_shadow(keys, shadows, id, values) then shadowed = shadowed + 1 end
  end
end
return remove(keys, groups, leaving) - shadowed
