#!lua flags=allow-oom
-- forget_device: a device goes, and with it what only this device had still to settle. The last group is never dropped:
-- it becomes (or is replaced by) the stand-in `primary`, so that what waits goes on waiting for the next device.
-- RETURNS {verdict: unknown | connected | recent | forgotten, number of entries that left}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local leases = KEYS[3] -- hash
local tally = KEYS[4] -- hash
local entry_states = KEYS[5] -- hash
local last_seen = KEYS[6] -- string
local device = ARGV[1]
local unseen_since = tonumber(ARGV[2]) -- in ms: a device that was claimed later stays
--@use _clock
--@use _leases
--@use _mailbox
--@use _remove
--@use _user
local claimed_at = redis.call('HGET', user, device_field(device))
if not claimed_at then return {'unknown', 0} end
if tonumber(claimed_at) > unseen_since then return {'recent', 0} end
local value = redis.call('HGET', leases, device)
local lease = value and parse_lease(value)
if lease and lease.ends_at > now_ms() then return {'connected', 0} end
if lease then
  -- It is over, and was not swept yet. If it stayed, a late renewal or release of its connection would bring the device
  -- back.
  redis.call('HDEL', leases, device)
  note_last_seen(last_seen, lease.alive_at)
end

redis.call('HDEL', user, device_field(device))
local others, has_group = {}, false
for _, group in ipairs(groups_of(mailbox)) do
  if group.name == device then has_group = true else others[#others + 1] = group end
end
if not has_group then return {'forgotten', 0} end
if #others == 0 then
  if device ~= 'primary' then
    redis.call('XGROUP', 'CREATE', mailbox, 'primary', '0')
    redis.call('XGROUP', 'DESTROY', mailbox, device)
  end
  return {'forgotten', 0}
end
redis.call('XGROUP', 'DESTROY', mailbox, device)
local leaving = {}
for _, entry in ipairs(redis.call('XRANGE', mailbox, '-', '+')) do
  if settled_by_others(mailbox, others, device, entry[1]) then leaving[#leaving + 1] = entry[1] end
end
local keys, left = {mailbox = mailbox, tally = tally, entry_states = entry_states}, 0
for i = 1, #leaving, 1000 do
  left = left + remove(keys, others, {unpack(leaving, i, math.min(i + 999, #leaving))})
end
return {'forgotten', left}
