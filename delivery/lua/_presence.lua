--@use _clock
--@use _leases
-- When the last live lease ends, or '' if there is none; when this person was last seen, or '0'; and now. In ms.
local function presence_of(leases, last_seen)
  local now, seen, ends_at = now_ms(), tonumber(redis.call('GET', last_seen) or '0'), 0
  local all = redis.call('HGETALL', leases)
  for i = 2, #all, 2 do
    local lease = parse_lease(all[i])
    if lease.ends_at > now then
      ends_at = math.max(ends_at, lease.ends_at)
    else
      seen = math.max(seen, lease.alive_at)
    end
  end
  return ends_at > 0 and digits(ends_at) or '', digits(seen), digits(now)
end
