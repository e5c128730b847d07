-- How much waits: n chats, b bytes, n:<sender> chats of one sender; the same with p in front for phantoms.
local function count_up(tally, prefix, sender, bytes)
  redis.call('HINCRBY', tally, prefix .. 'n', 1)
  redis.call('HINCRBY', tally, prefix .. 'b', bytes)
  redis.call('HINCRBY', tally, prefix .. 'n:' .. sender, 1)
end

local function count_down(tally, prefix, sender, bytes)
  redis.call('HINCRBY', tally, prefix .. 'b', -bytes)
  for _, field in ipairs({prefix .. 'n', prefix .. 'n:' .. sender}) do
    if redis.call('HINCRBY', tally, field, -1) <= 0 then redis.call('HDEL', tally, field) end
  end
  if redis.call('HEXISTS', tally, prefix .. 'n') == 0 then redis.call('HDEL', tally, prefix .. 'b') end
end
