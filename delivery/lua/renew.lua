#!lua flags=allow-oom
-- renew: a sign of life carries the lease on, and tells the newest entry, so that a lost ring heals within a ping.
-- KEYS[1] leases KEYS[2] mailbox
-- ARGV[1] device ARGV[2] serverId ARGV[3] connectionId ARGV[4] lease in ms ARGV[5] age of the sign of life in ms
-- ARGV[6] written at, in ms of Redis' clock, or '' ARGV[7] patience in ms
-- RETURNS {verdict: ok | gone | replaced | late, newest streamId or '', now in ms}
--@use _clock
--@use _leases
local evidence, now = evidence_of(ARGV[5], ARGV[6], ARGV[7])
if not evidence then return {'late', '', text(now)} end
local verdict = holding(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if verdict ~= 'ok' then return {verdict, '', text(now)} end
local till = evidence + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[3], text(evidence), text(till)}, ' '))
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return {'ok', newest and newest[1] or '', text(now)}
