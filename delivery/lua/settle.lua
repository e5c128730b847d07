#!lua flags=allow-oom
-- settle: this device has these entries.
-- KEYS[1] mailbox KEYS[2] tally KEYS[3] parked KEYS[4] records KEYS[5] records before
-- ARGV[1] device ARGV[2] number of streamIds ARGV[3..] streamIds, then sender, chats, bytes of each sender of them
-- RETURNS number of entries that left
--@use _clock
--@use _mailbox
--@use _seen
--@use _tally
--@use _remove
--@use _settle
local keys = {mailbox = KEYS[1], tally = KEYS[2], parked = KEYS[3], records = KEYS[4], before = KEYS[5]}
local last = 2 + tonumber(ARGV[2])
local left = settle(keys, ARGV[1], {unpack(ARGV, 3, last)}, {unpack(ARGV, last + 1)})
return left
