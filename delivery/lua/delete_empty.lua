#!lua flags=allow-oom
-- delete_empty: the empty mailbox of a person who is not connected goes. Its last id stays, so that ids never go back.
-- RETURNS {verdict: none | busy | deleted}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local leases = KEYS[3] -- hash
local entry_states = KEYS[4] -- hash
--@use _leases
--@use _mailbox
--@use _user_fields
-- An acknowledgement that came when its entry had left is still noted.
if redis.call('XLEN', mailbox) == 0 then redis.call('DEL', entry_states) end
if redis.call('EXISTS', mailbox) == 0 then return {'none'} end
if redis.call('XLEN', mailbox) > 0 or #live_servers(leases) > 0 then return {'busy'} end
for _, group in ipairs(groups_of(mailbox)) do
  if group.pending > 0 then return {'busy'} end
end
local info = redis.call('XINFO', 'STREAM', mailbox)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and redis.call('EXISTS', user) == 1 then
    redis.call('HSET', user, LAST_ID, info[i + 1])
  end
end
redis.call('DEL', mailbox)
return {'deleted'}
