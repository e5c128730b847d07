#!lua flags=allow-oom
-- note_acknowledged: a device has these chats of one sender, who is about to be told that they are delivered. It is
-- noted before they are told: if nobody comes to settle these chats, the mailbox may be looked at only after 30 days,
-- and then the sender must not be told that they expired.
-- The note is a state of the entry, and leaves with it: removing an entry costs no more for it, and a record would cost
-- a digest of each messageId. A chat that became a shadow entry meanwhile has no entry. So where anything is shadowed,
-- the records are advanced.
-- RETURNS 1
local entry_states = KEYS[1] -- hash
local shadows = KEYS[2] -- stream
local dedupe = KEYS[3] -- hash
local dedupe_before = KEYS[4] -- hash
local sender = ARGV[1] -- mobile number
local message_ids = ARGV[2] -- with spaces between them
-- ARGV[3..]: their streamIds
if redis.call('EXISTS', shadows) == 0 then
  --@use _entry_states
  local notes, acknowledged = {}, tostring(ENTRY_ACKNOWLEDGED)
  for i = 3, #ARGV do notes[2 * i - 5], notes[2 * i - 4] = ARGV[i], acknowledged end
  redis.call('HSET', entry_states, unpack(notes))
else
  --@use _advance_records
  --@use _dedupe
  local each = {}
  for message_id in string.gmatch(message_ids, '[^ ]+') do each[#each + 1] = message_id end
  advance_records(dedupe, dedupe_before, sender, ACKNOWLEDGED, each)
end
return 1
