--@use _channels
--@use _clock
--@use _tell_servers
-- What may be shown of this person has changed: notify the servers on which somebody watches them.
local function notify_watchers(watchers)
  local servers = redis.call('ZRANGE', watchers, '(' .. digits(now_ms()), '+inf', 'BYSCORE')
  if #servers > 0 then tell_servers(servers, PRESENCE_CHANGED .. ' ' .. string.match(watchers, '{(%d+)}')) end
end
