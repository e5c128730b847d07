#!lua flags=no-writes
-- read_person: what Redis holds of a person besides what waits for them, for the person. If Redis does not know this
-- account under this number, nothing is told.
-- RETURNS {verdict: not_cached | found, {field, value, ...} of the user, last seen in ms or '',
--   {mobile number, ...} of those they wrote to, {mobile number, ...} of those they did not answer,
--   {digest, time in ms, ...} of login places, {device, lease, ...}}
local user = KEYS[1] -- hash
local last_seen = KEYS[2] -- string
local answered = KEYS[3] -- set
local strangers = KEYS[4] -- hash
local login_places = KEYS[5] -- sorted set
local leases = KEYS[6] -- hash
local account_id = ARGV[1]
--@use _user_fields
if redis.call('HGET', user, ACCOUNT_ID) ~= account_id then return {'not_cached', {}, '', {}, {}, {}, {}} end
local places = redis.call('ZRANGE', login_places, 0, -1, 'WITHSCORES')
local seen = redis.call('GET', last_seen) or ''
local wrote_to, unanswered = redis.call('SMEMBERS', answered), redis.call('HKEYS', strangers)
return {'found', redis.call('HGETALL', user), seen, wrote_to, unanswered, places, redis.call('HGETALL', leases)}
