#!lua flags=allow-oom
-- forgive_failures: an attempt was no failure after all. It is not counted any more, or no failure before it is either,
-- and what they added to the wait goes. That there was an attempt stays.
-- RETURNS number of failures that are left
local bucket = KEYS[1] -- string
local interval = tonumber(ARGV[1]) -- of tokens, in us
local burst = tonumber(ARGV[2])
local longest = tonumber(ARGV[3]) -- longest wait after failures, in us
local remembered = tonumber(ARGV[4]) -- how long failures are remembered, in us
local which = ARGV[5] -- one | all
--@use _gcra
--@use _failures
local now = now_us()
local full_at, failures = parse_bucket(redis.call('GET', bucket))
if failures == 0 then return 0 end
if which == 'all' then
  full_at, failures = math.min(full_at, now + burst * interval), 0
else
  failures = failures - 1
  full_at = full_at - charge_after(failures, interval, burst, longest) + interval
end
save_bucket(bucket, full_at, failures, now, remembered)
return failures
