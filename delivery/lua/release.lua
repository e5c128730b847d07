#!lua flags=allow-oom
-- release: the connection ends; only if the lease still names it (a newer connection is never taken offline).
-- KEYS[1] leases KEYS[2] last seen KEYS[3] person
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] age of the last sign of life in ms
-- RETURNS {verdict: ok | gone | replaced}
--@use _clock
--@use _leases
local verdict = holding(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if verdict ~= 'ok' then return {verdict} end
local now = now_ms()
local seen = now - tonumber(ARGV[4])
redis.call('HDEL', KEYS[1], ARGV[1])
if seen > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], text(seen)) end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'dev:' .. ARGV[1], text(now)) end
return {'ok'}
