#!lua flags=allow-oom
-- leave: the owner of a number has left it. From now on nothing is stored for them and no connection of theirs gets a
-- lease. They are not loaded again either: a server may have read them in PostgreSQL just before they left.
-- Doing it again changes nothing. If the number has another owner by now, nothing is done.
-- RETURNS {verdict: taken | left, number of live leases}
local user = KEYS[1] -- hash
local left_by = KEYS[2] -- string
local leases = KEYS[3] -- hash
local watchers = KEYS[4] -- sorted set
local account_id = ARGV[1]
local life = ARGV[2] -- of the note that keeps them from being loaded, and tells that there was another owner, in s
--@use _leases
--@use _owner
--@use _watchers
if is_taken(user, account_id) then return {'taken', 0} end
redis.call('DEL', user)
notify_watchers(watchers)
redis.call('SET', left_by, account_id, 'EX', life)
return {'left', #live_servers(leases)}
