--@use _channels
--@use _leases
-- An entry waits for this person: notify the servers that hold their live connections. The calling server (`own`) needs
-- no message. Returns the serverId of each live connection.
local function notify(leases, own, mobile, id)
  local servers, notified = live_servers(leases), {[own] = true}
  for _, server_id in ipairs(servers) do
    if not notified[server_id] then
      redis.call('PUBLISH', CHANNEL_PREFIX .. server_id, ENTRY_WAITS .. ' ' .. mobile .. ' ' .. id)
    end
    notified[server_id] = true
  end
  return servers
end
