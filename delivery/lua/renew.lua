#!lua flags=allow-oom
-- renew: a sign of life carries the lease on. The answer names the newest entry, the person's privacy and the number of
-- devices, so that a lost notification is made up for within a ping.
-- RETURNS {verdict: ok | gone | replaced | late, newest streamId or '', privacy, number of devices, now in ms}
local leases = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local user = KEYS[3] -- hash
local watchers = KEYS[4] -- sorted set
local device = ARGV[1]
local server_id = ARGV[2]
local connection_id = ARGV[3]
local lease_ms = tonumber(ARGV[4])
local age = ARGV[5] -- of the sign of life, in ms
local written_at = ARGV[6] -- in ms of Redis' clock, or ''
local patience = ARGV[7] -- in ms
--@use _clock
--@use _leases
--@use _mailbox
--@use _user
--@use _user_fields
--@use _watchers
local alive_at, now = find_alive_at(age, written_at, patience)
if not alive_at then return {'late', '', '', '0', digits(now)} end
local verdict, lease = check_holder(leases, device, server_id, connection_id)
if verdict ~= 'ok' then return {verdict, '', '', '0', digits(now)} end
-- A lease that was over and is carried on: others saw this person offline.
local comes_online = lease.ends_at <= now and alive_at + lease_ms > now and #live_servers(leases) == 0
redis.call('HSET', leases, device, format_lease(server_id, connection_id, alive_at, alive_at + lease_ms))
if comes_online then notify_watchers(watchers) end
local devices = 0
for _, field in ipairs(redis.call('HKEYS', user)) do
  if device_of(field) then devices = devices + 1 end
end
return {'ok', newest_id(mailbox), redis.call('HGET', user, PRIVACY) or '', digits(devices), digits(now)}
