#!lua flags=allow-oom
-- expire_phantoms: what a blocked sender believes to wait ends as a waiting chat would.
-- KEYS[1] phantoms KEYS[2] tally
-- ARGV[1..] ids of phantoms
-- RETURNS number of phantoms that left
--@use _tally
local left = 0
for _, id in ipairs(ARGV) do
  local phantom = redis.call('XRANGE', KEYS[1], id, id)[1]
  if phantom then
    local fields = phantom[2]
    redis.call('XDEL', KEYS[1], id)
    count_down(KEYS[2], 'p', fields[2], 1, tonumber(fields[6]))
    left = left + 1
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return left
