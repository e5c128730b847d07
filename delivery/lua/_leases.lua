-- A lease is one field (the device) of a hash: "serverId connectionId evidenceMs untilMs".
local function lease_of(value)
  local server, connection, evidence, till = string.match(value, '^(%S+) (%S+) (%d+) (%d+)$')
  return {server = server, connection = connection, evidence = tonumber(evidence), till = tonumber(till)}
end

-- When somebody last gave a sign of life, by our clock: `age` ms before this was `written` (by our clock, too, as far as
-- the server knows it; '' if it does not). Nothing if that is longer ago than anybody waits for an answer: whoever asked
-- has given it up and may have told others so, or our clock jumped.
local function evidence_of(age, written, patience)
  local now = now_ms()
  local late = written == '' and 0 or now - tonumber(written)
  if late > tonumber(patience) then return nil, now, late end
  return now - math.max(late, 0) - tonumber(age), now, late
end

-- The servers that hold this person's live connections. Readers judge the end of a lease themselves.
local function live_servers(leases)
  local servers, now = {}, nil
  local all = redis.call('HGETALL', leases)
  for i = 2, #all, 2 do
    now = now or now_ms()
    local lease = lease_of(all[i])
    if lease.till > now then servers[#servers + 1] = lease.server end
  end
  return servers
end

-- The devices on which this person is connected, as a set.
local function live_devices(leases)
  local devices, now = {}, now_ms()
  local all = redis.call('HGETALL', leases)
  for i = 1, #all, 2 do
    if lease_of(all[i + 1]).till > now then devices[all[i]] = true end
  end
  return devices
end

-- 'ok' if the device's lease names this connection, 'gone' if nothing does, 'replaced' if another one does.
local function holding(leases, device, server, connection)
  local value = redis.call('HGET', leases, device)
  if not value then return 'gone' end
  local lease = lease_of(value)
  if lease.server == server and lease.connection == connection then return 'ok', lease end
  return 'replaced', lease
end
