--@use _mailbox
--@use _stored_entries
--@use _dedupe
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
