-- The dedupe record of a chat: field = digest of (sender, messageId), value = state letter + streamId.
-- States: s stored, d delivered, r read, x expired or dropped, p phantom (its sender is blocked).
-- While the entry waits the record is in `waiting`; when it leaves it moves to the bucket of the day, which
-- expires as a whole: no timer and no key per message.
local RANK = {s = 1, p = 1, x = 2, d = 3, r = 4}

local function record_field(sender, message_id)
  return string.sub(redis.sha1hex(sender .. ' ' .. message_id), 1, 20)
end

-- The record and the key it is in, or false. Buckets: the day before, today, and tomorrow (a clock may be ahead).
local function find_record(waiting, buckets, field)
  local record = redis.call('HGET', waiting, field)
  if record then return record, waiting end
  for _, bucket in ipairs(buckets) do
    record = redis.call('HGET', bucket, field)
    if record then return record, bucket end
  end
  return false
end

-- The state only rises.
local function raised(record, state)
  if RANK[string.sub(record, 1, 1)] >= RANK[state] then return record end
  return state .. string.sub(record, 2)
end

-- The entry leaves its mailbox: its record moves to today's bucket.
local function retire_record(waiting, bucket, ttl, field, id, state)
  local record = redis.call('HGET', waiting, field) or ('s' .. id)
  redis.call('HDEL', waiting, field)
  redis.call('HSET', bucket, field, raised(record, state))
  if redis.call('HLEN', bucket) == 1 then redis.call('EXPIRE', bucket, ttl) end
end
