#!lua flags=no-writes
-- find_stuck: does something wait for a connected device, and nobody delivers it? Unread entries, entries unsettled for
-- too long, entries held by a server that no longer holds the device's lease.
-- RETURNS {serverId of each connection to notify, ...}
local leases = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local too_long = ARGV[1] -- in ms
--@use _clock
--@use _leases
--@use _mailbox
local servers = {}
local newest = newest_id(mailbox)
if newest == '' then return servers end
local now = now_ms()
for _, group in ipairs(groups_of(mailbox)) do
  local value = redis.call('HGET', leases, group.name)
  local lease = value and parse_lease(value)
  if lease and lease.ends_at > now then
    local stuck = compare_ids(newest, group.read) > 0
      or #redis.call('XPENDING', mailbox, group.name, 'IDLE', too_long, '-', '+', 1) > 0
    if not stuck and group.pending > 0 then
      for _, consumer in ipairs(redis.call('XPENDING', mailbox, group.name)[4] or {}) do
        stuck = stuck or consumer[1] ~= lease.server_id
      end
    end
    if stuck then servers[#servers + 1] = lease.server_id end
  end
end
return servers
