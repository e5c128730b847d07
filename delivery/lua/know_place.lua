#!lua flags=allow-oom
-- know_place: somebody logged in here; the next log-in from here is not counted among those of strangers. Of too many
-- places the one that was used longest ago goes.
-- KEYS[1] places
-- ARGV[1] life in s ARGV[2] most ARGV[3..] digests of places
-- RETURNS number of places
--@use _clock
local now = now_ms()
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], text(now), ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('ZCARD', KEYS[1])
