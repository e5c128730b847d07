#!lua flags=no-writes
-- read_devices: a person's devices, and how many entries each has not settled: those it was given and has not
-- acknowledged, and those it has not read. Of the latter Redis does not always know the number (the lag of a group),
-- because entries were removed; then the caller counts them, a page at a time, so that Redis never works on it for long.
-- RETURNS {number of entries in the mailbox, {{device, claimed at in ms, 1 if connected, entries counted,
--   streamId behind which entries are yet to be counted or ''}, ...}}
local user = KEYS[1] -- hash
local leases = KEYS[2] -- hash
local mailbox = KEYS[3] -- stream
--@use _leases
--@use _user
local groups, last = {}, ''
local infos = redis.pcall('XINFO', 'GROUPS', mailbox)
if not infos.err then -- there is a mailbox
  for _, info in ipairs(infos) do
    local group = {}
    for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
    groups[group['name']] = group
  end
  local newest = redis.call('XREVRANGE', mailbox, '+', '-', 'COUNT', 1)[1]
  last = newest and newest[1] or ''
end
local total, live, devices = redis.call('XLEN', mailbox), live_devices(leases), {}

-- A device without a group has read nothing: its group begins with all that waits.
local function unsettled(group)
  if not group then return total, '' end
  if group['last-delivered-id'] == '0-0' then return total, '' end
  if last == '' or group['last-delivered-id'] == last then return group['pending'], '' end
  if group['lag'] then return group['pending'] + group['lag'], '' end
  return group['pending'], group['last-delivered-id']
end

local fields = redis.call('HGETALL', user)
for i = 1, #fields, 2 do
  local device = device_of(fields[i])
  if device then
    local counted, behind = unsettled(groups[device])
    devices[#devices + 1] = {device, fields[i + 1], live[device] and 1 or 0, counted, behind}
  end
end
return {total, devices}
