#!lua flags=allow-oom
-- take_token: take tokens from a bucket, all that are asked for or none. Where failures double the wait, each attempt
-- takes one token and counts as a failure until that is taken back (forgive_failures), so that a hundred guesses at once
-- are not all judged by the same count.
-- RETURNS {us to wait; 0: the tokens were taken, tokens in use, failures before this attempt}
local bucket = KEYS[1] -- string
local interval = tonumber(ARGV[1]) -- of tokens, in us
local burst = tonumber(ARGV[2])
local longest = tonumber(ARGV[3]) -- longest wait after failures, in us; 0: failures are not counted
local remembered = tonumber(ARGV[4]) -- how long failures are remembered, in us
local count = tonumber(ARGV[5]) -- how many tokens; at most `burst`
--@use _gcra
--@use _failures
local now = now_us()
local before, failures = parse_bucket(redis.call('GET', bucket))
local charge = longest > 0 and charge_after(failures, interval, burst, longest) or count * interval
local full_at, wait = take_from(before, now, interval, burst, charge, longest, count)
if wait == 0 then
  save_bucket(bucket, full_at, longest > 0 and failures + 1 or 0, now, remembered)
end
return {wait, math.ceil((full_at - now) / interval), failures}
