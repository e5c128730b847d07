-- Redis' own clock, in ms. Leases are made and judged by this one clock, never by a server's.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A whole number as text, without an exponent.
local function digits(number)
  return string.format('%.0f', number)
end
