#!lua flags=allow-oom
-- sweep: leases that are over, or whose server is gone, become last seen. Leases that are longer than allowed are
-- shortened: a clock that jumped back would keep a connection that is gone online for an hour.
-- RETURNS {{device, serverId, connectionId, last sign of life in ms}, ...} of the leases that ended
local leases = KEYS[1] -- hash
local last_seen = KEYS[2] -- string
local watchers = KEYS[3] -- sorted set
local lease_ms = tonumber(ARGV[1])
local gone_server = ARGV[2] -- serverId, or ''
--@use _clock
--@use _leases
--@use _watchers
local now = now_ms()
local ended = {}
local all = redis.call('HGETALL', leases)
for i = 1, #all, 2 do
  local device, lease = all[i], parse_lease(all[i + 1])
  if lease.ends_at <= now or lease.server_id == gone_server then
    local seen = math.min(lease.alive_at, now)
    redis.call('HDEL', leases, device)
    note_last_seen(last_seen, seen)
    ended[#ended + 1] = {device, lease.server_id, lease.connection_id, digits(seen)}
  elseif lease.ends_at - now > lease_ms then
    redis.call('HSET', leases, device, format_lease(lease.server_id, lease.connection_id, now, now + lease_ms))
  end
end
if #ended > 0 and #live_servers(leases) == 0 then notify_watchers(watchers) end
return ended
