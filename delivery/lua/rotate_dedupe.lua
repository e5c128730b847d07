#!lua flags=allow-oom
-- rotate_dedupe: dedupe records are kept for so long, and twice that at most. The records since the last rotation
-- become those before it, which end when the time has passed once more; the records of what still waits are copied to
-- the new ones. It is called until it is through: each call looks at so many entries, and until then the old records do
-- not end.
-- RETURNS {verdict: none | kept | more | rotated}
local dedupe = KEYS[1] -- hash
local dedupe_before = KEYS[2] -- hash
local mailbox = KEYS[3] -- stream
local shadows = KEYS[4] -- stream
local kept_seconds = tonumber(ARGV[1])
local least = ARGV[2] -- least life of records, in s
local count = tonumber(ARGV[3]) -- most entries to look at
--@use _clock
--@use _stored_entries
--@use _dedupe
--@use _own
local WALK, MAILBOX, SHADOWS = 'walk', 'm', 'p'

local walked = redis.call('HGET', dedupe_before, WALK)
if not walked then
  local since = redis.call('HGET', dedupe, SINCE)
  if not since then return {'none'} end
  if now_ms() - tonumber(since) < kept_seconds * 1000 then return {'kept'} end
  redis.call('RENAME', dedupe, dedupe_before)
  walked = MAILBOX .. '-'
end

-- Where this call begins: the letter of the stream, and the start of the range.
local stream = string.sub(walked, 1, 1)
local key = stream == MAILBOX and mailbox or shadows
local entries = redis.call('XRANGE', key, string.sub(walked, 2), '+', 'COUNT', count)
local fields = {}
for _, entry in ipairs(entries) do
  local values = entry[2]
  if stream == SHADOWS then
    fields[#fields + 1] = record_field(values[SHADOW_SENDER], values[SHADOW_MESSAGE_ID])
  elseif values[ENTRY_KIND] == CHAT then
    fields[#fields + 1] = record_field(values[CHAT_SENDER], values[CHAT_MESSAGE_ID])
  elseif values[ENTRY_KIND] == OWN_CHAT then
    fields[#fields + 1] = record_field(own_name(values[OWN_CHAT_TO]), values[OWN_CHAT_MESSAGE_ID])
  end
end
local fresh = {}
if #fields > 0 then
  local found, where = find_records(dedupe, dedupe_before, fields)
  for field, record in pairs(found) do
    if where[field] == dedupe_before then fresh[#fresh + 1], fresh[#fresh + 2] = field, record end
  end
end
if #fresh > 0 then write_records(dedupe, fresh, least, redis.call('HGET', dedupe, SINCE)) end

if #entries == count then
  redis.call('HSET', dedupe_before, WALK, stream .. '(' .. entries[count][1])
elseif stream == MAILBOX then
  redis.call('HSET', dedupe_before, WALK, SHADOWS .. '-')
else
  redis.call('HDEL', dedupe_before, WALK)
  redis.call('EXPIRE', dedupe_before, kept_seconds)
  -- What left during the rotation is kept as long as the rest: the next rotation counts from now, and so does the life
  -- of the hash (see write_records).
  if redis.call('EXISTS', dedupe) == 1 then
    redis.call('HSET', dedupe, SINCE, digits(now_ms()))
    redis.call('EXPIRE', dedupe, math.floor(least * 1.5))
  end
  return {'rotated'}
end
return {'more'}
