--@use _channels
-- One message to each of these servers.
local function tell_servers(servers, message)
  local told = {}
  for _, server_id in ipairs(servers) do
    if not told[server_id] then redis.call('PUBLISH', CHANNEL_PREFIX .. server_id, message) end
    told[server_id] = true
  end
end
