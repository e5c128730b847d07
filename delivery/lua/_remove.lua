--@use _stored_entries
--@use _tally
-- Those of these entries that are still there, {id, values} each. Usually they are neighbours in the stream, and one
-- read finds them all.
local function entries_of(mailbox, ids)
  if #ids == 1 then return redis.call('XRANGE', mailbox, ids[1], ids[1]) end
  local found, wanted = {}, {}
  for _, id in ipairs(ids) do wanted[id] = true end
  for _, entry in ipairs(redis.call('XRANGE', mailbox, ids[1], ids[#ids], 'COUNT', #ids)) do
    if wanted[entry[1]] then
      found[#found + 1] = entry
      wanted[entry[1]] = nil
    end
  end
  for id in pairs(#found < #ids and wanted or {}) do
    found[#found + 1] = redis.call('XRANGE', mailbox, id, id)[1]
  end
  return found
end

-- Remove entries: out of the pending list of each group first, then out of the stream (a bare XDEL would leave nil
-- entries in pending lists), then out of the tally. Their states go with them, their dedupe records stay. Returns how
-- many left.
local function remove(keys, groups, ids)
  if #ids == 0 then return 0 end
  local gone, sums, own_chats, own_bytes = {}, {}, 0, 0
  for _, entry in ipairs(entries_of(keys.mailbox, ids)) do
    local values = entry[2]
    gone[#gone + 1] = entry[1]
    if values[ENTRY_KIND] == CHAT then
      local sum = sums[values[CHAT_SENDER]] or {chats = 0, bytes = 0}
      sum.chats, sum.bytes = sum.chats + 1, sum.bytes + #values[CHAT_MESSAGE]
      sums[values[CHAT_SENDER]] = sum
    elseif values[ENTRY_KIND] == OWN_CHAT then
      own_chats, own_bytes = own_chats + 1, own_bytes + #values[OWN_CHAT_MESSAGE]
    end
  end
  for _, group in ipairs(groups) do redis.call('XACK', keys.mailbox, group.name, unpack(ids)) end
  redis.call('HDEL', keys.entry_states, unpack(ids))
  if #gone == 0 then return 0 end
  redis.call('XDEL', keys.mailbox, unpack(gone))
  for sender, sum in pairs(sums) do count_down(keys.tally, CHAT_TALLY, sender, sum.chats, sum.bytes) end
  if own_chats > 0 then count_own(keys.tally, -own_chats, -own_bytes) end
  return #gone
end
