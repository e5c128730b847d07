-- The dedupe record of a chat. Field: digest of sender and messageId. Value: state letter, streamId, ' ', digest of the
-- text, which the server makes. Records of earlier versions have no digest.
-- All records of a person are in two hashes: those written since the last rotation, and those of before it. If a record
-- is in both, it is the same. It stays where it is when its chat leaves the mailbox, so that leaving costs nothing; see
-- rotate_dedupe.lua.
--@use _clock
local STORED, SHADOWED, ACKNOWLEDGED, DELIVERED, READ = 's', 'p', 'a', 'd', 'r'
-- Acknowledged: a device has the chat, and its sender is about to be told. Delivered: they were told. Shadowed: the
-- sender is blocked.
local RANK = {[STORED] = 1, [SHADOWED] = 1, [ACKNOWLEDGED] = 2, [DELIVERED] = 3, [READ] = 4}
local SINCE = 'since'

local function record_field(sender, message_id)
  return string.sub(redis.sha1hex(sender .. ' ' .. message_id), 1, 20)
end

local function record_fields(sender, message_ids)
  local fields = {}
  for i = 1, #message_ids do fields[i] = record_field(sender, message_ids[i]) end
  return fields
end

-- Write {field, record, ...}. `since`: when the hash was begun, in ms, as look_up returns it, or false. If nobody ever
-- rotates the hash, it ends by itself, but not before `least` seconds. It begins with a life of 1.5 times `least`, so its
-- life needs no look in the first half of `least`.
local function write_records(dedupe, fresh, least, since)
  redis.call('HSET', dedupe, unpack(fresh))
  local age = since and now_ms() - tonumber(since) or -1
  if age >= 0 and age * 2 < least * 1000 then return end
  if not since then redis.call('HSET', dedupe, SINCE, digits(now_ms())) end
  if redis.call('TTL', dedupe) < tonumber(least) then redis.call('EXPIRE', dedupe, math.floor(least * 1.5)) end
end

-- As find_records, for each chat that is stored, where tables by field cost too much: the record of each field by its
-- place, or false; and when the hash was begun, or false. `is_before`: whether there are records of before the last
-- rotation.
local function look_up(dedupe, dedupe_before, is_before, fields)
  local count, missing = #fields, nil
  fields[count + 1] = SINCE
  local found = redis.call('HMGET', dedupe, unpack(fields))
  fields[count + 1] = nil
  if is_before then
    for i = 1, count do
      if not found[i] then
        missing = missing or {}
        missing[#missing + 1] = fields[i]
      end
    end
  end
  if missing then
    local older, n = redis.call('HMGET', dedupe_before, unpack(missing)), 0
    for i = 1, count do
      if not found[i] then
        n = n + 1
        found[i] = older[n]
      end
    end
  end
  return found, found[count + 1]
end

-- By field: the record, and the key it is in; nothing for a field without a record.
local function find_records(dedupe, dedupe_before, fields)
  local found, where, missing = {}, {}, fields
  for _, key in ipairs({dedupe, dedupe_before}) do
    if #missing == 0 then break end
    -- Asking for many fields of nothing costs more than asking whether there is something.
    if key == dedupe or redis.call('EXISTS', key) == 1 then
      local values, still = redis.call('HMGET', key, unpack(missing)), {}
      for i, field in ipairs(missing) do
        if values[i] then
          found[field], where[field] = values[i], key
        else
          still[#still + 1] = field
        end
      end
      missing = still
    end
  end
  return found, where
end

local function stream_id_in(record)
  return string.match(record, '^.([%d-]+)')
end

-- A record without a digest takes any text.
local function has_text(record, digest)
  local kept = string.match(record, ' (.*)$')
  return not kept or kept == digest
end

-- The record with this state, or as it is if its state is as high already.
local function advance_state(record, state)
  if RANK[string.sub(record, 1, 1)] >= RANK[state] then return record end
  return state .. string.sub(record, 2)
end
