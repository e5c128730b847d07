-- Add an entry. A new mailbox begins with a group for each known device, which has read nothing; the group `primary`
-- stands in for a person who has no device yet. A mailbox that was deleted while it was empty goes on where its ids
-- ended, so that ids never go back.
local function append(user, mailbox, ...)
  local id = redis.call('XADD', mailbox, 'NOMKSTREAM', '*', ...)
  if id then return id end
  --@use _user
  --@use _user_fields
  local last, devices = false, {}
  local fields = redis.call('HGETALL', user)
  for i = 1, #fields, 2 do
    if fields[i] == LAST_ID then last = fields[i + 1] end
    local device = device_of(fields[i])
    if device then devices[#devices + 1] = device end
  end
  if #devices == 0 then devices[1] = 'primary' end
  for _, device in ipairs(devices) do
    redis.call('XGROUP', 'CREATE', mailbox, device, '0', 'MKSTREAM')
  end
  if last then redis.call('XSETID', mailbox, last) end
  return redis.call('XADD', mailbox, '*', ...)
end

-- The id of the newest entry, or ''.
local function newest_id(mailbox)
  local newest = redis.call('XREVRANGE', mailbox, '+', '-', 'COUNT', 1)[1]
  return newest and newest[1] or ''
end

-- Every group of the mailbox, with the id it has read up to.
local function groups_of(mailbox)
  local groups, infos = {}, redis.pcall('XINFO', 'GROUPS', mailbox)
  if infos.err then return groups end -- there is no mailbox
  for _, info in ipairs(infos) do
    local group = {}
    for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
    groups[#groups + 1] = {
      name = group['name'],
      read = group['last-delivered-id'],
      pending = group['pending'],
      entries_read = group['entries-read'],
    }
  end
  return groups
end

-- Ids compare as numbers: "9-0" is before "10-0". -1, 0 or 1. Their parts are below 2^53.
local function compare_ids(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  a_ms, a_seq, b_ms, b_seq = tonumber(a_ms), tonumber(a_seq), tonumber(b_ms), tonumber(b_seq)
  if a_ms ~= b_ms then return a_ms < b_ms and -1 or 1 end
  if a_seq ~= b_seq then return a_seq < b_seq and -1 or 1 end
  return 0
end

-- Whether every group but `own` has read this entry and settled it.
local function settled_by_others(mailbox, groups, own, id)
  for _, group in ipairs(groups) do
    if group.name ~= own then
      if compare_ids(id, group.read) > 0 then return false end
      if #redis.call('XPENDING', mailbox, group.name, id, id, 1) > 0 then return false end
    end
  end
  return true
end
