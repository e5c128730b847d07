-- The dedupe record of a chat: field = digest of (sender, messageId), value = state letter + streamId.
-- States: s stored, d delivered, r read, x expired or dropped, p phantom (its sender is blocked).
-- While the entry waits the record is in `waiting`; when it leaves it moves to the bucket of the day, which
-- expires as a whole: no timer and no key per message.
local RANK = {s = 1, p = 1, x = 2, d = 3, r = 4}

local function record_field(sender, message_id)
  return string.sub(redis.sha1hex(sender .. ' ' .. message_id), 1, 20)
end

-- For each of these fields its record and the key it is in, or nothing. Buckets: the day before, today, and tomorrow
-- (a clock may be ahead).
local function find_records(waiting, buckets, fields)
  local records, where, missing = {}, {}, fields
  for _, key in ipairs({waiting, buckets[1], buckets[2], buckets[3]}) do
    if #missing == 0 then break end
    -- Most people have one bucket, and asking for many fields of none costs more than asking whether there is one.
    if key == waiting or redis.call('EXISTS', key) == 1 then
      local found, still = redis.call('HMGET', key, unpack(missing)), {}
      for i, field in ipairs(missing) do
        if found[i] then
          records[field], where[field] = found[i], key
        else
          still[#still + 1] = field
        end
      end
      missing = still
    end
  end
  return records, where
end

-- The state only rises.
local function raised(record, state)
  if RANK[string.sub(record, 1, 1)] >= RANK[state] then return record end
  return state .. string.sub(record, 2)
end

-- Entries leave their mailbox: their records move to today's bucket. `ids` are the streamIds by field.
local function retire_records(waiting, bucket, ttl, fields, ids, state)
  local found, retired = redis.call('HMGET', waiting, unpack(fields)), {}
  for i, field in ipairs(fields) do
    retired[#retired + 1] = field
    retired[#retired + 1] = raised(found[i] or ('s' .. ids[i]), state)
  end
  redis.call('HDEL', waiting, unpack(fields))
  if redis.call('HSET', bucket, unpack(retired)) == redis.call('HLEN', bucket) then redis.call('EXPIRE', bucket, ttl) end
end
