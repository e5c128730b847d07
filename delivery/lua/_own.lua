--@use _mailbox
--@use _user
-- The names of a chat that this person sent, in the place of a sender's number in a record.
local function own_name(to)
  return '>' .. to
end

-- Whether this person has a device other than this one, and so whether somebody needs a copy of what they do on it.
local function has_others(user, device)
  for _, field in ipairs(redis.call('HKEYS', user)) do
    local found = device_of(field)
    if found and found ~= device then return true end
  end
  return false
end

-- What this device did was appended up to `id`, while `before` was the newest entry, or ''. If the device had read up to
-- there, it need not read what it did itself. Else it does, and settles it.
local function pass_by(mailbox, device, before, id, count)
  for _, group in ipairs(groups_of(mailbox)) do
    if group.name == device and (before == '' or compare_ids(before, group.read) <= 0) then
      -- Redis goes on to know how many entries the others have not read.
      local known = group.entries_read and {'ENTRIESREAD', group.entries_read + count} or {}
      redis.call('XGROUP', 'SETID', mailbox, device, id, unpack(known))
    end
  end
end
