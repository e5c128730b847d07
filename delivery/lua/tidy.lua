#!lua flags=allow-oom
-- tidy: an empty mailbox of a person who is not connected goes; its last id stays, so that ids never go back.
-- KEYS[1] person KEYS[2] mailbox KEYS[3] leases
-- RETURNS {verdict: none | busy | tidied}
--@use _clock
--@use _leases
--@use _mailbox
if redis.call('EXISTS', KEYS[2]) == 0 then return {'none'} end
if redis.call('XLEN', KEYS[2]) > 0 or #live_servers(KEYS[3]) > 0 then return {'busy'} end
for _, group in ipairs(groups_of(KEYS[2])) do
  if group.pending > 0 then return {'busy'} end
end
local info = redis.call('XINFO', 'STREAM', KEYS[2])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'last', info[i + 1])
  end
end
redis.call('DEL', KEYS[2])
return {'tidied'}
