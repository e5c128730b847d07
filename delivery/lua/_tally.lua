-- How much waits: n chats, b bytes, n:<sender> chats of one sender; the same with p in front for phantoms.
local function count_up(tally, prefix, sender, chats, bytes)
  redis.call('HINCRBY', tally, prefix .. 'n', chats)
  redis.call('HINCRBY', tally, prefix .. 'b', bytes)
  redis.call('HINCRBY', tally, prefix .. 'n:' .. sender, chats)
end

local function count_down(tally, prefix, sender, chats, bytes)
  local left = redis.call('HINCRBY', tally, prefix .. 'n', -chats)
  if left <= 0 then
    redis.call('HDEL', tally, prefix .. 'n', prefix .. 'b')
  else
    redis.call('HINCRBY', tally, prefix .. 'b', -bytes)
  end
  if redis.call('HINCRBY', tally, prefix .. 'n:' .. sender, -chats) <= 0 then
    redis.call('HDEL', tally, prefix .. 'n:' .. sender)
  end
end
