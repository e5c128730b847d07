-- How much waits: n chats, b bytes, n:<sender> chats and b:<sender> bytes of one sender. Shadow entries are counted
-- apart, with p in front; and so are copies of what this person sent: on chats, ob bytes.
local CHAT_TALLY, SHADOW_TALLY = '', 'p'

local function tally_fields(prefix, sender)
  return prefix .. 'n', prefix .. 'b', prefix .. 'n:' .. sender, prefix .. 'b:' .. sender
end

local OWN_NUMBER, OWN_BYTES = 'on', 'ob'

local function count_own(tally, chats, bytes)
  if redis.call('HINCRBY', tally, OWN_NUMBER, chats) <= 0 then
    redis.call('HDEL', tally, OWN_NUMBER, OWN_BYTES)
  else
    redis.call('HINCRBY', tally, OWN_BYTES, bytes)
  end
end

local function count_up(tally, prefix, sender, chats, bytes)
  local all_chats, all_bytes, of_sender, sender_bytes = tally_fields(prefix, sender)
  redis.call('HINCRBY', tally, all_chats, chats)
  redis.call('HINCRBY', tally, all_bytes, bytes)
  redis.call('HINCRBY', tally, of_sender, chats)
  redis.call('HINCRBY', tally, sender_bytes, bytes)
end

-- One write where there could be four: a write costs several reads, because it goes into the append-only file. Earlier
-- versions did not always count the bytes of one sender: what is missing counts as none.
local function count_down(tally, prefix, sender, chats, bytes)
  local all_chats, all_bytes, of_sender, sender_bytes = tally_fields(prefix, sender)
  local now = redis.call('HMGET', tally, all_chats, all_bytes, of_sender, sender_bytes)
  local left, left_of_sender = tonumber(now[1] or '0') - chats, tonumber(now[3] or '0') - chats
  if left <= 0 then return redis.call('HDEL', tally, all_chats, all_bytes, of_sender, sender_bytes) end
  if left_of_sender <= 0 then
    redis.call('HDEL', tally, of_sender, sender_bytes)
    redis.call('HSET', tally, all_chats, left, all_bytes, tonumber(now[2]) - bytes)
  else
    local bytes_left = math.max(tonumber(now[4] or '0') - bytes, 0)
    redis.call('HSET', tally, all_chats, left, all_bytes, tonumber(now[2]) - bytes,
      of_sender, left_of_sender, sender_bytes, bytes_left)
  end
end
