--@use _mailbox
--@use _stored_entries
--@use _dedupe
--@use _tally
--@use _remove
-- This device has these entries. An entry leaves the mailbox when every device has settled it. Doing it again changes
-- nothing. Returns how many left.
local function settle_each(keys, groups, device, ids)
  local leaving = {}
  for _, id in ipairs(ids) do
    if settled_by_others(keys.mailbox, groups, device, id) then
      leaving[#leaving + 1] = id
    else
      -- Other devices have not settled it: it stays, and is known to be delivered.
      redis.call('XACK', keys.mailbox, device, id)
      local entry = redis.call('XRANGE', keys.mailbox, id, id)[1]
      local values = entry and entry[2]
      if values and values[ENTRY_KIND] == CHAT then
        local field = record_field(values[CHAT_SENDER], values[CHAT_MESSAGE_ID])
        local found, where = find_records(keys.dedupe, keys.dedupe_before, {field})
        if found[field] then redis.call('HSET', where[field], field, advance_state(found[field], DELIVERED)) end
      end
    end
  end
  return remove(keys, groups, leaving)
end

-- The same. `sums` are {sender, chats, bytes, ...} of all these entries, as the server remembers them. If all of them
-- are pending they are all still in the mailbox, and if there is no other device, nothing needs to be read.
-- Returns how many left, and how many groups there are (0 if it was not looked up).
local function settle(keys, device, ids, sums)
  if #ids == 0 then return 0, 0 end
  local groups = groups_of(keys.mailbox)
  if #groups == 1 and groups[1].name == device and redis.call('XACK', keys.mailbox, device, unpack(ids)) == #ids then
    redis.call('XDEL', keys.mailbox, unpack(ids))
    redis.call('HDEL', keys.dead_letters, unpack(ids))
    for i = 1, #sums, 3 do
      count_down(keys.tally, CHAT_TALLY, sums[i], tonumber(sums[i + 1]), tonumber(sums[i + 2]))
    end
    return #ids, 1
  end
  return settle_each(keys, groups, device, ids), #groups
end
