-- A bucket whose failures are counted: "time at which it would be full, failures".
local function parse_bucket(value)
  local full_at, failures = string.match(value or '0 0', '^(%d+) (%d+)$')
  return tonumber(full_at), tonumber(failures)
end

-- What an attempt costs after so many failures: each failure beyond the burst doubles it. 2^40 intervals are longer
-- than any wait.
local function charge_after(failures, interval, burst, longest)
  local doublings = math.min(math.max(failures + 1 - burst, 0), 40)
  return math.max(interval, math.min(interval * 2 ^ doublings, longest))
end

local function save_bucket(bucket, full_at, failures, now, remembered)
  local life = math.max(full_at - now, failures > 0 and remembered or 0)
  if life <= 0 then return redis.call('DEL', bucket) end
  return redis.call('SET', bucket, string.format('%.0f %.0f', full_at, failures), 'PX', math.ceil(life / 1000))
end
