-- A lease is one field (the device) of a hash: "serverId connectionId aliveAt endsAt". `alive_at`: when the client last
-- gave a sign of life. Times are in ms of Redis' clock.
--@use _clock
local function parse_lease(value)
  local server_id, connection_id, alive_at, ends_at = string.match(value, '^(%S+) (%S+) (%d+) (%d+)$')
  return {
    server_id = server_id,
    connection_id = connection_id,
    alive_at = tonumber(alive_at),
    ends_at = tonumber(ends_at),
  }
end

local function format_lease(server_id, connection_id, alive_at, ends_at)
  return table.concat({server_id, connection_id, digits(alive_at), digits(ends_at)}, ' ')
end

-- When a client last gave a sign of life: `age` ms before the server wrote this command at `written_at` (by Redis'
-- clock as far as the server knows it; '' if it does not). Returns that time or nothing, now, and for how long the
-- command was under way. Nothing: the command is older than the patience of any server, or the clock jumped. The server
-- has given the command up and may have acted on that.
local function find_alive_at(age, written_at, patience)
  local now = now_ms()
  local late = written_at == '' and 0 or now - tonumber(written_at)
  if late > tonumber(patience) then return nil, now, late end
  return now - math.max(late, 0) - tonumber(age), now, late
end

-- The servers that hold live connections of this person, on a device other than `but`. A lease that is over may still
-- be stored.
local function live_servers(leases, but)
  local servers, now = {}, nil
  local all = redis.call('HGETALL', leases)
  for i = 2, #all, 2 do
    now = now or now_ms()
    local server_id, ends_at = string.match(all[i], '^(%S+) %S+ %d+ (%d+)$')
    if tonumber(ends_at) > now and all[i - 1] ~= but then servers[#servers + 1] = server_id end
  end
  return servers
end

-- The devices on which this person is connected, as a set.
local function live_devices(leases)
  local devices, now = {}, now_ms()
  local all = redis.call('HGETALL', leases)
  for i = 1, #all, 2 do
    if parse_lease(all[i + 1]).ends_at > now then devices[all[i]] = true end
  end
  return devices
end

-- 'ok' if the device's lease names this connection, 'gone' if there is no lease, 'replaced' if it names another
-- connection; and the lease. It may be over.
local function check_holder(leases, device, server_id, connection_id)
  local value = redis.call('HGET', leases, device)
  if not value then return 'gone' end
  local lease = parse_lease(value)
  if lease.server_id == server_id and lease.connection_id == connection_id then return 'ok', lease end
  return 'replaced', lease
end

-- The same without the lease, and one that is over is 'gone'. Each message needs this twice.
local function check_live_holder(leases, device, server_id, connection_id)
  local value = redis.call('HGET', leases, device)
  if not value then return 'gone' end
  local holder = server_id .. ' ' .. connection_id .. ' '
  if string.sub(value, 1, #holder) ~= holder then return 'replaced' end
  local space = string.find(value, ' ', #holder + 1, true)
  return tonumber(string.sub(value, space + 1)) > now_ms() and 'ok' or 'gone'
end

-- The last lease of a device ended: that is when the person was last seen, unless they were seen later.
local function note_last_seen(last_seen, seen)
  if seen > tonumber(redis.call('GET', last_seen) or '0') then redis.call('SET', last_seen, digits(seen)) end
end
