#!lua flags=allow-oom
-- try_code: compare a code with the one that was sent to a number. A wrong one is counted; after the last the code is
-- gone. A right one is not used up: what it is for may fail for a moment.
-- RETURNS {verdict: none | wrong | right, number of tries left}
local code = KEYS[1] -- string
local digest = ARGV[1] -- of what was given
local most = tonumber(ARGV[2]) -- wrong tries
--@use _clock
local value = redis.call('GET', code)
if not value then return {'none', 0} end
local sent, wrong = string.match(value, '^(%x+) (%d+)$')
local left = most - tonumber(wrong)
if sent == digest then return {'right', left} end
left = left - 1
if left <= 0 then
  redis.call('DEL', code)
  return {'wrong', 0}
end
redis.call('SET', code, sent .. ' ' .. digits(most - left), 'KEEPTTL')
return {'wrong', left}
