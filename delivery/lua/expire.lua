#!lua flags=allow-oom
-- expire: what has waited too long leaves the mailbox. A chat of which its sender was not surely told becomes a phantom
-- in the same step, and he is told of phantoms: of what could be acked meanwhile he might hear twice, and the wrong way
-- round. So what is in flight on a live connection stays, for a while; the next look finds it settled, or nobody there.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] parked KEYS[4] records KEYS[5] records before KEYS[6] leases KEYS[7] phantoms
-- ARGV[1] streamId of which older ones leave all the same: who has had them for so long acks them no more ARGV[2..] streamIds
-- RETURNS number of entries that left for good
--@use _clock
--@use _leases
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
--@use _phantom
local keys = {mailbox = KEYS[1], tally = KEYS[2], parked = KEYS[3], records = KEYS[4], before = KEYS[5]}
local groups = groups_of(keys.mailbox)
local live = live_devices(KEYS[6])

local function in_flight(id)
  for _, group in ipairs(groups) do
    if live[group.name] and #redis.call('XPENDING', keys.mailbox, group.name, id, id, 1) > 0 then return true end
  end
  return false
end

local leaving, phantoms = {}, 0
for _, entry in ipairs(entries_of(keys.mailbox, {unpack(ARGV, 2)})) do
  local id, said = entry[1], entry[2]
  if said[2] ~= 'c' then
    leaving[#leaving + 1] = id
  elseif compare_ids(id, ARGV[1]) < 0 or not in_flight(id) then
    leaving[#leaving + 1] = id
    if haunt(keys, KEYS[7], id, said) then phantoms = phantoms + 1 end
  end
end
return take_out(keys, groups, leaving) - phantoms
