-- Something waits for this person: ring the servers that hold his live connections, in the words delivery/notifications.py
-- knows. The caller rings himself without the wire. Tells whose connections live.
local function ring(leases, mine, mobile, id)
  local servers, rung = live_servers(leases), {[mine] = true}
  for _, server in ipairs(servers) do
    if not rung[server] then redis.call('PUBLISH', 'bell:' .. server, 'r ' .. mobile .. ' ' .. id) end
    rung[server] = true
  end
  return servers
end
