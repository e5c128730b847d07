#!lua flags=allow-oom
-- rate_limit: take one token from a bucket. Where failures double the wait, each attempt counts as one until it is taken
-- back (rate_forgive), so that a hundred guesses at once are not all judged by the same count.
-- KEYS[1] bucket
-- ARGV[1] interval of tokens in us ARGV[2] burst ARGV[3] longest wait after failures in us; 0: they are not counted
-- ARGV[4] time failures are remembered in us
-- RETURNS {us to wait; 0: a token was taken, tokens in use, failures before this attempt}
--@use _gcra
--@use _failures
local interval, burst, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_us()
local before, failures = bucket_of(redis.call('GET', KEYS[1]))
local charge = longest > 0 and charge_after(failures, interval, burst, longest) or interval
local full_at, wait = take_token(before, now, interval, burst, charge, longest)
if wait == 0 then
  keep_bucket(KEYS[1], full_at, longest > 0 and failures + 1 or 0, now, tonumber(ARGV[4]))
end
return {wait, math.ceil((full_at - now) / interval), failures}
