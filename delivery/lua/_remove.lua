-- An entry leaves, for whatever cause: out of every group's pending list first, then out of the stream (a bare
-- XDEL would leave nil entries in pending lists), then out of the tally; its dedupe record retires.
local function remove_entry(keys, groups, id, state, ttl)
  local entry = redis.call('XRANGE', keys.mailbox, id, id)[1]
  for _, group in ipairs(groups) do redis.call('XACK', keys.mailbox, group.name, id) end
  redis.call('HDEL', keys.parked, id)
  if not entry then return 0 end
  redis.call('XDEL', keys.mailbox, id)
  local fields = entry[2]
  if fields[2] == 'c' then
    local sender, message_id, message = fields[4], fields[6], fields[8]
    count_down(keys.tally, '', sender, #message)
    retire_record(keys.waiting, keys.bucket, ttl, record_field(sender, message_id), id, state)
  end
  return 1
end
