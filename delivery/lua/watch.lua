#!lua flags=allow-oom
-- watch: somebody on this server watches a person. The server is notified of changes for so long, unless it comes again.
-- RETURNS {verdict: not_cached | known, now in ms, end of the last live lease in ms or '', last seen in ms or 0,
--   privacy, {what each asker is to this person, ...}}, as read_presence does
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local leases = KEYS[3] -- hash
local last_seen = KEYS[4] -- string
local blocked_at = KEYS[5] -- hash
local answered = KEYS[6] -- set
local watchers = KEYS[7] -- sorted set
local server_id = ARGV[1]
local life = tonumber(ARGV[2]) -- in ms
-- ARGV[3..]: mobile numbers of askers
--@use _clock
--@use _presence
--@use _sides
-- A write is a line in the append-only file: in the first half of its life a registration stays as it is.
local asked_at = now_ms()
if tonumber(redis.call('ZSCORE', watchers, server_id) or '0') < asked_at + life / 2 then
  redis.call('ZREMRANGEBYSCORE', watchers, '-inf', digits(asked_at))
  redis.call('ZADD', watchers, digits(asked_at + life), server_id)
  redis.call('PEXPIRE', watchers, life)
end
if redis.call('EXISTS', user) == 0 then return {'not_cached', '', '', '', '', {}} end
local ends_at, seen, now = presence_of(leases, last_seen)
local privacy, sides = sides_of(user, blocks, blocked_at, answered, {unpack(ARGV, 3)})
return {'known', now, ends_at, seen, privacy, sides}
