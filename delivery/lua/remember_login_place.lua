#!lua flags=allow-oom
-- remember_login_place: a person logged in from here; the next login from here does not count as a stranger's. If there
-- are too many places, the one that was used longest ago goes.
-- RETURNS number of places
local places = KEYS[1] -- sorted set
local life = ARGV[1] -- in s
local most = tonumber(ARGV[2]) -- most places
-- ARGV[3..]: digests of places
--@use _clock
local now = digits(now_ms())
for _, place in ipairs({unpack(ARGV, 3)}) do redis.call('ZADD', places, now, place) end
redis.call('ZREMRANGEBYRANK', places, 0, -1 - most)
redis.call('EXPIRE', places, life)
return redis.call('ZCARD', places)
