#!lua flags=allow-oom
-- load: what PostgreSQL knows of a person, into Redis. Blocks carry a version: only newer ones are taken.
-- If the number belongs to another account by now, everything of the former owner goes.
-- RETURNS {verdict: created | newer | kept, epoch}
local user = KEYS[1] -- hash
local blocks = KEYS[2] -- set
local last_seen = KEYS[3] -- string
local mailbox = KEYS[4] -- stream
local shadows = KEYS[5] -- stream
local entry_states = KEYS[6] -- hash
local leases = KEYS[7] -- hash
local tally = KEYS[8] -- hash
local dedupe = KEYS[9] -- hash
local dedupe_before = KEYS[10] -- hash
local answered = KEYS[11] -- set
local strangers = KEYS[12] -- hash
local account_id = ARGV[1]
local new_epoch = ARGV[2] -- for a user that Redis does not know
local blocks_version = ARGV[3]
local seen = ARGV[4] -- in ms, or ''
-- ARGV[5..]: blocked mobile numbers
--@use _user_fields
local verdict = 'kept'
local account_before = redis.call('HGET', user, ACCOUNT_ID)
if account_before and account_before ~= account_id then
  redis.call('DEL', user, blocks, last_seen, mailbox, shadows, entry_states, leases, tally, dedupe, dedupe_before,
    answered, strangers)
  account_before = false
end
if not account_before then
  redis.call('HSET', user, ACCOUNT_ID, account_id, EPOCH, new_epoch)
  if seen ~= '' then redis.call('SET', last_seen, seen, 'NX') end
  verdict = 'created'
end
if tonumber(blocks_version) > tonumber(redis.call('HGET', user, BLOCKS_VERSION) or '-1') then
  redis.call('HSET', user, BLOCKS_VERSION, blocks_version)
  redis.call('DEL', blocks)
  for i = 5, #ARGV do redis.call('SADD', blocks, ARGV[i]) end
  if verdict == 'kept' then verdict = 'newer' end
end
return {verdict, redis.call('HGET', user, EPOCH)}
