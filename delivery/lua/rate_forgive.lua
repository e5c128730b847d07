#!lua flags=allow-oom
-- rate_forgive: an attempt was no failure after all. It is not counted any more, or no failure before it is either; and
-- what they added to the wait goes. That there was an attempt stays.
-- KEYS[1] bucket
-- ARGV[1] interval of tokens in us ARGV[2] burst ARGV[3] longest wait after failures in us
-- ARGV[4] time failures are remembered in us ARGV[5] one | all
-- RETURNS number of failures that are left
--@use _gcra
--@use _failures
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_us()
local full_at, failures = bucket_of(redis.call('GET', KEYS[1]))
if failures == 0 then return 0 end
if ARGV[5] == 'all' then
  full_at, failures = math.min(full_at, now + burst * interval), 0
else
  failures = failures - 1
  full_at = full_at - charge_after(failures, interval, burst, tonumber(ARGV[3])) + interval
end
keep_bucket(KEYS[1], full_at, failures, now, tonumber(ARGV[4]))
return failures
