-- The dedupe record of a chat: field = digest of (sender, messageId), value = state letter + streamId + ' ' + digest of
-- the text, which the server makes. Records of versions before have no digest.
-- States: s stored, a acked (a device has it, its sender is being told), d delivered to a device, r read,
-- p phantom (its sender is blocked).
-- All records of a person are in two hashes, none in both that differs: those `since` the last turn, and those before
-- it. A record stays where it is when its chat leaves the mailbox, so that this costs nothing; see turn.lua.
local RANK = {s = 1, p = 1, a = 2, d = 3, r = 4}
local SINCE = 'since'

local function record_field(sender, message_id)
  return string.sub(redis.sha1hex(sender .. ' ' .. message_id), 1, 20)
end

-- Write {field, record, ...}. The hash knows when it was begun. Should nobody ever turn it, it ends by itself, but not
-- before `least` seconds.
local function write_records(records, fresh, least)
  redis.call('HSET', records, unpack(fresh))
  local left = redis.call('TTL', records)
  if left < 0 then redis.call('HSET', records, SINCE, text(now_ms())) end
  if left < tonumber(least) then redis.call('EXPIRE', records, math.floor(least * 1.5)) end
end

-- For each of these fields its record and the key it is in, or nothing.
local function find_records(records, before, fields)
  local found, where, missing = {}, {}, fields
  for _, key in ipairs({records, before}) do
    if #missing == 0 then break end
    -- Asking for many fields of nothing costs more than asking whether there is something.
    if key == records or redis.call('EXISTS', key) == 1 then
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

local function place_in(record)
  return string.match(record, '^.([%d-]+)')
end

-- A record without a digest takes any text.
local function has_text(record, digest)
  local kept = string.match(record, ' (.*)$')
  return not kept or kept == digest
end

-- The state only rises.
local function raised(record, state)
  if RANK[string.sub(record, 1, 1)] >= RANK[state] then return record end
  return state .. string.sub(record, 2)
end

