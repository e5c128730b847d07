--@use _channels
--@use _leases
-- An entry waits for this person: notify the servers that hold their live connections, on a device other than `but`. The
-- calling server (`own`) needs no message. Returns the serverId of each of these connections.
local function notify(leases, own, mobile, id, but)
  local servers = live_servers(leases, but)
  for i, server_id in ipairs(servers) do
    local is_notified = server_id == own
    for j = 1, i - 1 do is_notified = is_notified or servers[j] == server_id end
    if not is_notified then
      redis.call('PUBLISH', CHANNEL_PREFIX .. server_id, ENTRY_WAITS .. ' ' .. mobile .. ' ' .. id)
    end
  end
  return servers
end
