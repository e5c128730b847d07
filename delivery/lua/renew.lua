#!lua flags=allow-oom
-- renew: a sign of life carries the lease on, and tells the newest entry, so that a lost ring heals within a ping.
-- KEYS[1] leases KEYS[2] mailbox
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] lease in ms ARGV[5] age of the sign of life in ms
-- RETURNS {verdict: ok | gone | replaced, newest streamId or ''}
--@use _clock
--@use _leases
local verdict = holding(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if verdict ~= 'ok' then return {verdict, ''} end
local evidence = now_ms() - tonumber(ARGV[5])
local till = evidence + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[3], text(evidence), text(till)}, ' '))
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return {'ok', newest and newest[1] or ''}
