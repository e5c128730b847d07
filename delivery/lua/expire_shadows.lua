#!lua flags=allow-oom
-- expire_shadows: what a blocked sender believes to wait ends as a waiting chat would.
-- RETURNS number of shadow entries that left
local shadows = KEYS[1] -- stream
local tally = KEYS[2] -- hash
-- ARGV[1..]: ids of shadow entries
--@use _stored_entries
--@use _tally
local left = 0
for _, id in ipairs(ARGV) do
  local shadow = redis.call('XRANGE', shadows, id, id)[1]
  if shadow then
    local values = shadow[2]
    redis.call('XDEL', shadows, id)
    count_down(tally, SHADOW_TALLY, values[SHADOW_SENDER], 1, tonumber(values[SHADOW_BYTES]))
    left = left + 1
  end
end
if redis.call('XLEN', shadows) == 0 then redis.call('DEL', shadows) end
return left
