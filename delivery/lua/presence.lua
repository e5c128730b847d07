#!lua flags=no-writes
-- presence: what an asker may know of a person. Never online, hidden, and "you are blocked" look the same.
-- KEYS[1] person KEYS[2] blocks KEYS[3] leases KEYS[4] last seen
-- ARGV[1] asker
-- RETURNS {verdict: unloaded | online | seen | nothing, last seen in ms or ''}
--@use _clock
--@use _leases
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unloaded', ''} end
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return {'nothing', ''} end
local now = now_ms()
local seen = tonumber(redis.call('GET', KEYS[4]) or '0')
local all = redis.call('HGETALL', KEYS[3])
for i = 2, #all, 2 do
  local lease = lease_of(all[i])
  if lease.till > now then return {'online', ''} end
  seen = math.max(seen, lease.evidence)
end
if seen == 0 then return {'nothing', ''} end
return {'seen', text(seen)}
