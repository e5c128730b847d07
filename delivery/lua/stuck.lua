#!lua flags=no-writes
-- stuck: does something wait for a connected device that nobody is carrying? Unread entries, entries unsettled for
-- too long, entries held by a server that no longer holds the device's lease.
-- KEYS[1] leases KEYS[2] mailbox
-- ARGV[1] ms unsettled that are too long
-- RETURNS {serverId of each connection to ring, ...}
--@use _clock
--@use _leases
--@use _mailbox
local servers = {}
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if not newest then return servers end
local now = now_ms()
for _, group in ipairs(groups_of(KEYS[2])) do
  local value = redis.call('HGET', KEYS[1], group.name)
  local lease = value and lease_of(value)
  if lease and lease.till > now then
    local stuck = compare_ids(newest[1], group.read) > 0
      or #redis.call('XPENDING', KEYS[2], group.name, 'IDLE', ARGV[1], '-', '+', 1) > 0
    if not stuck and group.pending > 0 then
      for _, consumer in ipairs(redis.call('XPENDING', KEYS[2], group.name)[4] or {}) do
        stuck = stuck or consumer[1] ~= lease.server
      end
    end
    if stuck then servers[#servers + 1] = lease.server end
  end
end
return servers
