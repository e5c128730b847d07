-- How much waits: n chats, b bytes, n:<sender> chats and b:<sender> bytes of one sender; the same with p in front for
-- phantoms.
local function count_up(tally, prefix, sender, chats, bytes)
  redis.call('HINCRBY', tally, prefix .. 'n', chats)
  redis.call('HINCRBY', tally, prefix .. 'b', bytes)
  redis.call('HINCRBY', tally, prefix .. 'n:' .. sender, chats)
  redis.call('HINCRBY', tally, prefix .. 'b:' .. sender, bytes)
end

-- One write where there could be four: a write costs several reads, for it goes into the append-only file. Bytes of one
-- sender were not always counted: what is missing is none.
local function count_down(tally, prefix, sender, chats, bytes)
  local n, b, theirs, size = prefix .. 'n', prefix .. 'b', prefix .. 'n:' .. sender, prefix .. 'b:' .. sender
  local now = redis.call('HMGET', tally, n, b, theirs, size)
  local left, of_them = tonumber(now[1] or '0') - chats, tonumber(now[3] or '0') - chats
  if left <= 0 then return redis.call('HDEL', tally, n, b, theirs, size) end
  if of_them <= 0 then
    redis.call('HDEL', tally, theirs, size)
    redis.call('HSET', tally, n, left, b, tonumber(now[2]) - bytes)
  else
    local bytes_left = math.max(tonumber(now[4] or '0') - bytes, 0)
    redis.call('HSET', tally, n, left, b, tonumber(now[2]) - bytes, theirs, of_them, size, bytes_left)
  end
end
