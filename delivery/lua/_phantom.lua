-- What an entry that leaves leaves behind, while its sender may believe that it waits, or was not surely told what
-- became of it. Its time is its own streamId, in a field: a stream takes no id below its last.
local function haunt(keys, phantoms, id, said)
  local field = record_field(said[4], said[6])
  local found, where = find_records(keys.records, keys.before, {field})
  local state = string.sub(found[field] or 's', 1, 1)
  -- That one of several devices has a chat, its sender was told: it is gone.
  if RANK[state] >= RANK.d then return false end
  redis.call('XADD', phantoms, '*', 'f', said[4], 'i', said[6], 'b', #said[8], 't', id)
  if where[field] and state == 's' then redis.call('HSET', where[field], field, 'p' .. string.sub(found[field], 2)) end
  count_up(keys.tally, 'p', said[4], 1, #said[8])
  return true
end
