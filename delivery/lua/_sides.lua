--@use _user_fields
-- The privacy of a person, and what each of these others is to them: c or -, whether they wrote to the other; behind it,
-- if they block the other, when they were last seen at the moment of the block, in ms.
-- Blocks of a version that did not note that moment have none, and count as those of a person who was never seen.
local function sides_of(user, blocks, blocked_at, answered, others)
  local sides = {}
  if #others == 0 then return redis.call('HGET', user, PRIVACY) or '', sides end
  local is_blocked = redis.call('SMISMEMBER', blocks, unpack(others))
  local is_contact = redis.call('SMISMEMBER', answered, unpack(others))
  for i, other in ipairs(others) do
    local side = is_contact[i] == 1 and 'c' or '-'
    if is_blocked[i] == 1 then
      side = side .. (redis.call('HGET', blocked_at, other) or '0')
    end
    sides[i] = side
  end
  return redis.call('HGET', user, PRIVACY) or '', sides
end
