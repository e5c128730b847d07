#!lua flags=allow-oom
-- claim: this connection is now the device's one; the holder before it is told by the caller.
-- A connection that finds its lease gone claims `again`: that yields to a newer one that came in between, and is in vain
-- while its client has been silent for longer than a lease. It counts from the last sign of life, as a renewal does.
-- A live connection is replaced only by one whose client gave a sign of life since its upgrade (`proven`): an attempt that
-- its client has given up may arrive late.
-- A device seen for the first time gets its group at 0; the placeholder `primary` then makes room.
-- KEYS[1] person KEYS[2] leases KEYS[3] mailbox
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] lease in ms ARGV[5] most devices ARGV[6] account id
-- ARGV[7] first | proven | again ARGV[8] age of the last sign of life in ms
-- ARGV[9] written at, in ms of Redis' clock, or '' ARGV[10] patience in ms
-- RETURNS {verdict: unloaded | too_many_devices | replaced | unproven | silent | late | claimed, epoch, serverId before,
--   connectionId before, newest streamId, number of devices, now in ms}
--@use _clock
--@use _leases
--@use _mailbox
local device = ARGV[1]
local OVERTAKEN_MS = 1000
local evidence, now, late = evidence_of(ARGV[8], ARGV[9], ARGV[10])
local function nothing(verdict)
  return {verdict, '', '', '', '', '', text(now)}
end
if not evidence then return nothing('late') end
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[6] then return nothing('unloaded') end

local till = evidence + tonumber(ARGV[4])
local held, lease = holding(KEYS[2], device, ARGV[2], ARGV[3])
if ARGV[7] == 'again' and held == 'replaced' and lease.till > now then return nothing('replaced') end
if ARGV[7] == 'first' and held == 'replaced' and lease.till > now then return nothing('unproven') end
-- Whoever came while this lay in Redis for long may have come after its server had given it up. If it did not, it asks again.
if held == 'replaced' and lease.till > now and late > OVERTAKEN_MS and lease.evidence > now - late then
  return nothing('late')
end
if ARGV[7] == 'again' and till <= now then return nothing('silent') end
local devices, known = 0, false
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 4) == 'dev:' then devices = devices + 1 end
  known = known or name == 'dev:' .. device
end
if not known then
  if devices >= tonumber(ARGV[5]) then return nothing('too_many_devices') end
  devices = devices + 1
end
redis.call('HSET', KEYS[1], 'dev:' .. device, text(now))

local names = {}
for _, group in ipairs(groups_of(KEYS[3])) do names[group.name] = true end
if next(names) and not names[device] then redis.call('XGROUP', 'CREATE', KEYS[3], device, '0') end
if names['primary'] and device ~= 'primary' and redis.call('HEXISTS', KEYS[1], 'dev:primary') == 0 then
  redis.call('XGROUP', 'DESTROY', KEYS[3], 'primary')
end

local before_server, before_connection = '', ''
if held == 'replaced' then before_server, before_connection = lease.server, lease.connection end
redis.call('HSET', KEYS[2], device, table.concat({ARGV[2], ARGV[3], text(evidence), text(till)}, ' '))

local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
return {'claimed', epoch, before_server, before_connection, newest and newest[1] or '', text(devices), text(now)}
