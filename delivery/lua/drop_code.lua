#!lua flags=allow-oom
-- drop_code: a code was used, or could not be sent. One that was sent after it stays.
-- RETURNS 1 if it was there, else 0
local code = KEYS[1] -- string
local digest = ARGV[1]
local value = redis.call('GET', code)
if not value or string.sub(value, 1, #digest + 1) ~= digest .. ' ' then return 0 end
return redis.call('DEL', code)
