#!lua flags=no-writes
-- read_presence: what decides what these askers may know of a person (delivery/policy.py).
-- RETURNS {verdict: not_cached | known, now in ms, end of the last live lease in ms or '', last seen in ms or 0,
--   privacy, {what each asker is to this person, ...}, {serverId of each live connection}}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local leases = KEYS[3] -- hash
local last_seen = KEYS[4] -- string
local blocked_at = KEYS[5] -- hash
local answered = KEYS[6] -- set
-- ARGV[1..]: mobile numbers of askers
--@use _leases
--@use _presence
--@use _sides
if redis.call('EXISTS', user) == 0 then return {'not_cached', '', '', '', '', {}, {}} end
local ends_at, seen, now = presence_of(leases, last_seen)
local privacy, sides = sides_of(user, blocks, blocked_at, answered, {unpack(ARGV, 1)})
return {'known', now, ends_at, seen, privacy, sides, live_servers(leases)}
