#!lua flags=allow-oom
-- expire: entries leave unread; whoever calls has told their senders first.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] waiting records KEYS[4] bucket now KEYS[5] parked
-- ARGV[1] seconds a bucket lives ARGV[2..] streamIds
-- RETURNS number of entries that left
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
local groups = groups_of(KEYS[1])
local keys = {mailbox = KEYS[1], tally = KEYS[2], waiting = KEYS[3], bucket = KEYS[4], parked = KEYS[5]}
local ids = {}
for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end
return remove_entries(keys, groups, ids, 'x', ARGV[1])
