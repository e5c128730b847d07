-- How much waits: n chats, b bytes, n:<sender> chats of one sender; the same with p in front for phantoms.
local function count_up(tally, prefix, sender, chats, bytes)
  redis.call('HINCRBY', tally, prefix .. 'n', chats)
  redis.call('HINCRBY', tally, prefix .. 'b', bytes)
  redis.call('HINCRBY', tally, prefix .. 'n:' .. sender, chats)
end

-- One write where there could be four: a write costs several reads, for it goes into the append-only file.
local function count_down(tally, prefix, sender, chats, bytes)
  local n, b, theirs = prefix .. 'n', prefix .. 'b', prefix .. 'n:' .. sender
  local now = redis.call('HMGET', tally, n, b, theirs)
  local left, of_them = tonumber(now[1] or '0') - chats, tonumber(now[3] or '0') - chats
  if left <= 0 then return redis.call('HDEL', tally, n, b, theirs) end
  if of_them <= 0 then
    redis.call('HDEL', tally, theirs)
    redis.call('HSET', tally, n, left, b, tonumber(now[2]) - bytes)
  else
    redis.call('HSET', tally, n, left, b, tonumber(now[2]) - bytes, theirs, of_them)
  end
end
