-- This device has these entries. One leaves the mailbox when every device has passed it. Again is as good as once.
-- Tells how many left.
local function settle_each(keys, groups, device, ids)
  local leaving = {}
  for _, id in ipairs(ids) do
    if passed_by_others(keys.mailbox, groups, device, id) then
      leaving[#leaving + 1] = id
    else
      -- Others have not passed it: it stays, and is known to be delivered.
      redis.call('XACK', keys.mailbox, device, id)
      local entry = redis.call('XRANGE', keys.mailbox, id, id)[1]
      if entry and entry[2][2] == 'c' then
        local field = record_field(entry[2][4], entry[2][6])
        local found, where = find_records(keys.records, keys.before, {field})
        if found[field] then redis.call('HSET', where[field], field, raised(found[field], 'd')) end
      end
    end
  end
  return take_out(keys, groups, leaving)
end

-- The same. `sums` are {sender, chats, bytes, ...} of them all, as the caller remembers them: what is pending is still
-- there, so that if all are, and no other device is, nothing need be read.
-- Tells how many left, and how many groups there are, if it looked.
local function settle(keys, device, ids, sums)
  if #ids == 0 then return 0, 0 end
  local groups = groups_of(keys.mailbox)
  if #groups == 1 and groups[1].name == device and redis.call('XACK', keys.mailbox, device, unpack(ids)) == #ids then
    redis.call('XDEL', keys.mailbox, unpack(ids))
    redis.call('HDEL', keys.parked, unpack(ids))
    for i = 1, #sums, 3 do count_down(keys.tally, '', sums[i], tonumber(sums[i + 1]), tonumber(sums[i + 2])) end
    return #ids, 1
  end
  return settle_each(keys, groups, device, ids), #groups
end
