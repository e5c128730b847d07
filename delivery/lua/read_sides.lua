#!lua flags=no-writes
-- read_sides: what this person decided about others: whether they share with them, and whether they block them.
-- RETURNS {verdict: not_cached | known, privacy, {what each of the others is to this person, ...}}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local blocked_at = KEYS[3] -- hash
local answered = KEYS[4] -- set
-- ARGV[1..]: mobile numbers of the others
--@use _sides
if redis.call('EXISTS', user) == 0 then return {'not_cached', '', {}} end
local privacy, sides = sides_of(user, blocks, blocked_at, answered, {unpack(ARGV, 1)})
return {'known', privacy, sides}
