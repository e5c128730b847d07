#!lua flags=allow-oom
-- note_acknowledged: the only device has these chats, and their senders are about to be told that they are delivered.
-- It is noted before they are told: if nobody comes to settle these chats, the mailbox may be looked at only after 30
-- days, and then the senders must not be told that they expired. Settling removes the notes.
-- RETURNS number of new notes
local entry_states = KEYS[1] -- hash
-- ARGV[1..]: streamIds
--@use _entry_states
local notes = {}
for i, id in ipairs(ARGV) do notes[2 * i - 1], notes[2 * i] = id, ENTRY_ACKNOWLEDGED end
return redis.call('HSET', entry_states, unpack(notes))
