#!lua flags=allow-oom
-- turn: dedupe records are kept for so long, and twice that at most. Those since the last turn become those before it,
-- which end when the time has passed once more; the records of what still waits go with the new ones. Called again
-- until it is through: each time it looks at so many entries, and until then the old ones do not end.
-- KEYS[1] records KEYS[2] records before KEYS[3] mailbox KEYS[4] phantoms
-- ARGV[1] time a record is kept in s ARGV[2] least life of records in s ARGV[3] most entries
-- RETURNS {verdict: none | kept | more | turned}
--@use _clock
--@use _seen
local WALK = 'walk'
local records, before, count = KEYS[1], KEYS[2], tonumber(ARGV[3])

local walked = redis.call('HGET', before, WALK)
if not walked then
  local since = redis.call('HGET', records, SINCE)
  if not since then return {'none'} end
  if now_ms() - tonumber(since) < tonumber(ARGV[1]) * 1000 then return {'kept'} end
  redis.call('RENAME', records, before)
  walked = 'm-'
end

-- The place of the next look: m or p for mailbox or phantoms, and the start of the range.
local stream = string.sub(walked, 1, 1)
local entries = redis.call('XRANGE', stream == 'm' and KEYS[3] or KEYS[4], string.sub(walked, 2), '+', 'COUNT', count)
local fields = {}
for _, entry in ipairs(entries) do
  local said = entry[2]
  if stream == 'p' then
    fields[#fields + 1] = record_field(said[2], said[4])
  elseif said[2] == 'c' then
    fields[#fields + 1] = record_field(said[4], said[6])
  end
end
local fresh = {}
if #fields > 0 then
  local found, where = find_records(records, before, fields)
  for field, record in pairs(found) do
    if where[field] == before then fresh[#fresh + 1], fresh[#fresh + 2] = field, record end
  end
end
if #fresh > 0 then write_records(records, fresh, ARGV[2]) end

if #entries == count then
  redis.call('HSET', before, WALK, stream .. '(' .. entries[count][1])
elseif stream == 'm' then
  redis.call('HSET', before, WALK, 'p-')
else
  redis.call('HDEL', before, WALK)
  redis.call('EXPIRE', before, ARGV[1])
  -- What left while we looked is kept as long as the rest: the next turn counts from now.
  if redis.call('EXISTS', records) == 1 then redis.call('HSET', records, SINCE, text(now_ms())) end
  return {'turned'}
end
return {'more'}
