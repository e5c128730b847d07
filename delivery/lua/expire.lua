#!lua flags=allow-oom
-- expire: entries leave unread; whoever calls has told their senders first.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] parked
-- ARGV[1..] streamIds
-- RETURNS number of entries that left
--@use _mailbox
--@use _tally
--@use _remove
return take_out({mailbox = KEYS[1], tally = KEYS[2], parked = KEYS[3]}, groups_of(KEYS[1]), ARGV)
