#!lua flags=allow-oom
-- delete_person: nothing of somebody who has left their number stays in Redis, but for the note that they left it. If
-- the number has another owner by now, nothing is done.
-- RETURNS {verdict: taken | deleted}
local user = KEYS[1] -- hash
local mailbox = KEYS[2] -- stream
local blocks = KEYS[3] -- set
local shadows = KEYS[4] -- stream
local entry_states = KEYS[5] -- hash
local leases = KEYS[6] -- hash
local last_seen = KEYS[7] -- string
local tally = KEYS[8] -- hash
local dedupe = KEYS[9] -- hash
local dedupe_before = KEYS[10] -- hash
local answered = KEYS[11] -- set
local strangers = KEYS[12] -- hash
local login_places = KEYS[13] -- sorted set
local blocked_at = KEYS[14] -- hash
local account_id = ARGV[1]
--@use _everything
--@use _owner
if is_taken(user, account_id) then return {'taken'} end
redis.call('DEL', unpack(EVERYTHING))
return {'deleted'}
