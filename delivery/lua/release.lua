#!lua flags=allow-oom
-- release: the connection ends. Its lease goes only if it still names the connection: a newer one is never taken
-- offline.
-- RETURNS {verdict: ok | gone | replaced}
local leases = KEYS[1] -- hash
local last_seen = KEYS[2] -- string
local user = KEYS[3] -- hash
local watchers = KEYS[4] -- sorted set
local device = ARGV[1]
local server_id = ARGV[2]
local connection_id = ARGV[3]
local age = tonumber(ARGV[4]) -- of the last sign of life, in ms
--@use _clock
--@use _leases
--@use _user
--@use _watchers
local verdict = check_holder(leases, device, server_id, connection_id)
if verdict ~= 'ok' then return {verdict} end
local now = now_ms()
redis.call('HDEL', leases, device)
note_last_seen(last_seen, now - age)
if #live_servers(leases) == 0 then notify_watchers(watchers) end
if redis.call('EXISTS', user) == 1 then redis.call('HSET', user, device_field(device), digits(now)) end
return {'ok'}
