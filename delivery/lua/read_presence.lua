#!lua flags=no-writes
-- read_presence: what an asker may know of a person. Never online, hidden, and "you are blocked" look the same.
-- RETURNS {verdict: not_cached | online | seen | nothing, last seen in ms or ''}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local leases = KEYS[3] -- hash
local last_seen = KEYS[4] -- string
local asker = ARGV[1] -- mobile number
--@use _clock
--@use _leases
if redis.call('EXISTS', user) == 0 then return {'not_cached', ''} end
if redis.call('SISMEMBER', blocks, asker) == 1 then return {'nothing', ''} end
local now = now_ms()
local seen = tonumber(redis.call('GET', last_seen) or '0')
local all = redis.call('HGETALL', leases)
for i = 2, #all, 2 do
  local lease = parse_lease(all[i])
  if lease.ends_at > now then return {'online', ''} end
  seen = math.max(seen, lease.alive_at)
end
if seen == 0 then return {'nothing', ''} end
return {'seen', digits(seen)}
