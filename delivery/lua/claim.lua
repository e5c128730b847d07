#!lua flags=allow-oom
-- claim: from now on this connection holds the device. The caller tells the connection that held it before.
-- A connection that finds its lease gone claims `again`. Such a claim yields to a newer connection that came in
-- between, and fails if the client has been silent for longer than a lease. As with a renewal, the lease counts from
-- the last sign of life.
-- A live connection is replaced only by one whose client gave a sign of life since its upgrade (`proven`): an attempt
-- that its client has given up may arrive late.
-- A device that is seen for the first time gets its group, which has read nothing; the stand-in `primary` then goes. The
-- servers of the person's other connections are notified: from now on these make copies of what they send.
-- RETURNS {verdict: not_cached | too_many_devices | replaced | unproven | silent | late | claimed, epoch,
--   serverId before, connectionId before, newest streamId, number of devices, privacy, now in ms}
local user = KEYS[1] -- hash
local leases = KEYS[2] -- hash
local mailbox = KEYS[3] -- stream
local watchers = KEYS[4] -- sorted set
local device = ARGV[1]
local server_id = ARGV[2]
local connection_id = ARGV[3]
local lease_ms = tonumber(ARGV[4])
local most_devices = tonumber(ARGV[5])
local account_id = ARGV[6]
local mode = ARGV[7] -- first | proven | again
local mobile = ARGV[8] -- of the person
local age = ARGV[9] -- of the last sign of life, in ms
local written_at = ARGV[10] -- in ms of Redis' clock, or ''
local patience = ARGV[11] -- in ms
--@use _channels
--@use _clock
--@use _leases
--@use _mailbox
--@use _user
--@use _user_fields
--@use _watchers
local OVERTAKEN_MS = 1000
local alive_at, now, late = find_alive_at(age, written_at, patience)
local function refuse(verdict)
  return {verdict, '', '', '', '', '', '', digits(now)}
end
if not alive_at then return refuse('late') end
if redis.call('HGET', user, ACCOUNT_ID) ~= account_id then return refuse('not_cached') end

local ends_at = alive_at + lease_ms
local held, lease = check_holder(leases, device, server_id, connection_id)
local held_by_another = held == 'replaced' and lease.ends_at > now
if mode == 'again' and held_by_another then return refuse('replaced') end
if mode == 'first' and held_by_another then return refuse('unproven') end
-- While this command was under way for long, another connection came: perhaps after our server had given the command
-- up. If it had not, it asks again.
if held_by_another and late > OVERTAKEN_MS and lease.alive_at > now - late then return refuse('late') end
if mode == 'again' and ends_at <= now then return refuse('silent') end

local devices, known = 0, false
for _, field in ipairs(redis.call('HKEYS', user)) do
  if device_of(field) then devices = devices + 1 end
  known = known or field == device_field(device)
end
if not known then
  if devices >= most_devices then return refuse('too_many_devices') end
  devices = devices + 1
  for _, server in ipairs(live_servers(leases, device)) do
    redis.call('PUBLISH', CHANNEL_PREFIX .. server, DEVICES_CHANGED .. ' ' .. mobile)
  end
end
redis.call('HSET', user, device_field(device), digits(now))

local names = {}
for _, group in ipairs(groups_of(mailbox)) do names[group.name] = true end
if next(names) and not names[device] then redis.call('XGROUP', 'CREATE', mailbox, device, '0') end
if names['primary'] and device ~= 'primary' and redis.call('HEXISTS', user, device_field('primary')) == 0 then
  redis.call('XGROUP', 'DESTROY', mailbox, 'primary')
end

local server_before, connection_before = '', ''
if held == 'replaced' then server_before, connection_before = lease.server_id, lease.connection_id end
local comes_online = ends_at > now and #live_servers(leases) == 0
redis.call('HSET', leases, device, format_lease(server_id, connection_id, alive_at, ends_at))
if comes_online then notify_watchers(watchers) end
local own = redis.call('HMGET', user, EPOCH, PRIVACY)
return {'claimed', own[1], server_before, connection_before, newest_id(mailbox), digits(devices), own[2] or '', digits(now)}
