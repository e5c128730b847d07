#!lua flags=allow-oom
-- forget: a device goes, and with it what only it had still to settle. The last group is never dropped: it becomes
-- (or is replaced by) the placeholder `primary`, so that what waits goes on waiting for the next device.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] leases KEYS[4] tally KEYS[5] parked
-- KEYS[6] last seen
-- ARGV[1] device ARGV[2] forget only if not seen since, in ms
-- RETURNS {verdict: unknown | connected | recent | forgotten, number of entries that left}
--@use _clock
--@use _leases
--@use _mailbox
--@use _tally
--@use _remove
local device = ARGV[1]
local seen = redis.call('HGET', KEYS[1], 'dev:' .. device)
if not seen then return {'unknown', 0} end
if tonumber(seen) > tonumber(ARGV[2]) then return {'recent', 0} end
local value = redis.call('HGET', KEYS[3], device)
local lease = value and lease_of(value)
if lease and lease.till > now_ms() then return {'connected', 0} end
if lease then
  -- Over, and not swept yet: left there, a late renewal or release of its connection would bring the device back.
  local before = tonumber(redis.call('GET', KEYS[6]) or '0')
  redis.call('HDEL', KEYS[3], device)
  if lease.evidence > before then redis.call('SET', KEYS[6], text(lease.evidence)) end
end

redis.call('HDEL', KEYS[1], 'dev:' .. device)
local groups, mine = {}, false
for _, group in ipairs(groups_of(KEYS[2])) do
  if group.name == device then mine = true else groups[#groups + 1] = group end
end
if not mine then return {'forgotten', 0} end
if #groups == 0 then
  if device ~= 'primary' then
    redis.call('XGROUP', 'CREATE', KEYS[2], 'primary', '0')
    redis.call('XGROUP', 'DESTROY', KEYS[2], device)
  end
  return {'forgotten', 0}
end
redis.call('XGROUP', 'DESTROY', KEYS[2], device)
local keys = {mailbox = KEYS[2], tally = KEYS[4], parked = KEYS[5]}
local leaving = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  if passed_by_others(KEYS[2], groups, device, entry[1]) then
    leaving[#leaving + 1] = entry[1]
  end
end
local left = 0
for i = 1, #leaving, 1000 do
  left = left + take_out(keys, groups, {unpack(leaving, i, math.min(i + 999, #leaving))})
end
return {'forgotten', left}
