#!lua flags=allow-oom
-- expire_phantoms: what a blocked sender believes to wait ends as a waiting chat would.
-- KEYS[1] phantoms KEYS[2] tally KEYS[3] waiting records KEYS[4] bucket now
-- ARGV[1] seconds a bucket lives ARGV[2..] ids of phantoms
-- RETURNS number of phantoms that left
--@use _seen
--@use _tally
local left = 0
for i = 2, #ARGV do
  local phantom = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if phantom then
    local fields = phantom[2]
    redis.call('XDEL', KEYS[1], ARGV[i])
    count_down(KEYS[2], 'p', fields[2], 1, tonumber(fields[6]))
    retire_records(KEYS[3], KEYS[4], ARGV[1], {record_field(fields[2], fields[4])}, {fields[8] or ARGV[i]}, 'p')
    left = left + 1
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return left
