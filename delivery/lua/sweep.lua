#!lua flags=allow-oom
-- sweep: leases that are over, or whose server is gone, become last seen; longer ones than allowed are clamped
-- (a clock that jumped back would keep a ghost online for an hour).
-- KEYS[1] leases KEYS[2] last seen
-- ARGV[1] lease in ms ARGV[2] serverId that is gone, or ''
-- RETURNS {{device, serverId, connectionId, evidence in ms}, ...} of the leases that ended
--@use _clock
--@use _leases
local now, longest = now_ms(), tonumber(ARGV[1])
local ended = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local device, lease = all[i], lease_of(all[i + 1])
  if lease.till <= now or lease.server == ARGV[2] then
    local seen = math.min(lease.evidence, now)
    redis.call('HDEL', KEYS[1], device)
    if seen > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], text(seen)) end
    ended[#ended + 1] = {device, lease.server, lease.connection, text(seen)}
  elseif lease.till - now > longest then
    local value = table.concat({lease.server, lease.connection, text(now), text(now + longest)}, ' ')
    redis.call('HSET', KEYS[1], device, value)
  end
end
return ended
