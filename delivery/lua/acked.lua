#!lua flags=allow-oom
-- acked: a device has these chats, and their sender is being told. Noted before he is: if what they wait in is looked
-- at only after 30 days, since nobody came to settle them, he must not be told that they expired.
-- KEYS[1] records KEYS[2] records before
-- ARGV[1] sender ARGV[2..] messageIds
-- RETURNS number of records that rose
--@use _clock
--@use _seen
local fields, rose = {}, 0
for i = 2, #ARGV do fields[#fields + 1] = record_field(ARGV[1], ARGV[i]) end
local found, where = find_records(KEYS[1], KEYS[2], fields)
for field, record in pairs(found) do
  local now = raised(record, 'a')
  if now ~= record then
    redis.call('HSET', where[field], field, now)
    rose = rose + 1
  end
end
return rose
