-- A generic cell rate algorithm: of a bucket only the time is kept at which it would be full again. All times are whole
-- microseconds of Redis' own clock; a double holds them exactly until the year 2255.
local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Take `count` tokens at once, or none; one comes back after each `interval`. They may cost more than that (`charge`, at
-- most `longest`). More than `burst` are never there. Returns the time at which the bucket would be full, and how long
-- to wait for the tokens: 0 if they were taken. A time that is further ahead than any charge can bring about was written
-- before the clock was set back, and counts as the furthest possible.
local function take_from(full_at, now, interval, burst, charge, longest, count)
  local room = (burst - 1) * interval
  local full = math.min(math.max(full_at, now), now + room + math.max(longest, interval))
  local wait = full + (count - 1) * interval - now - room
  if wait > 0 then return full, wait end
  return full + charge, 0
end
